// test_operators.cpp - every form of operator new and delete ends in acre, and throws what the standard says.
#include <acre/heap.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

static int failures;
#define CHECK(what) \
    do { \
        if (!(what)) { \
            std::printf("not ok line %d: %s\n", __LINE__, #what); \
            failures++; \
        } \
    } while (0)

static bool is_ours(void *block)
{
    return acre_heap_usable_size(acre_heap_of_process(), reinterpret_cast<std::uintptr_t>(block)) > 0;
}

struct alignas(256) wide {
    char bytes[512];
};

static int handler_calls;

static void give_up()
{
    handler_calls++;
    std::set_new_handler(nullptr);
}

int main()
{
    void *block = ::operator new(100);
    CHECK(is_ours(block));
    ::operator delete(block);
    block = ::operator new[](100);
    CHECK(is_ours(block));
    ::operator delete[](block, std::size_t(100));
    block = ::operator new(100, std::nothrow);
    CHECK(is_ours(block));
    ::operator delete(block, std::nothrow);
    block = ::operator new(100, std::align_val_t(128));
    CHECK(is_ours(block) && reinterpret_cast<std::uintptr_t>(block) % 128 == 0);
    ::operator delete(block, std::size_t(100), std::align_val_t(128));
    block = ::operator new[](100, std::align_val_t(4096), std::nothrow);
    CHECK(is_ours(block) && reinterpret_cast<std::uintptr_t>(block) % 4096 == 0);
    ::operator delete[](block, std::align_val_t(4096), std::nothrow);

    auto *const objects = new wide[3];
    CHECK(reinterpret_cast<std::uintptr_t>(objects) % 256 == 0);
    delete[] objects;
    CHECK(is_ours(std::make_unique<std::string>(1000, 'x').get()));

    volatile std::size_t too_large = std::numeric_limits<std::size_t>::max() / 4;
    CHECK(::operator new(too_large, std::nothrow) == nullptr);
    std::set_new_handler(give_up);
    bool has_thrown = false;
    try {
        ::operator delete(::operator new(too_large));
    } catch (const std::bad_alloc &) {
        has_thrown = true;
    }
    CHECK(has_thrown && handler_calls == 1);
    has_thrown = false;
    try {
        ::operator delete(::operator new(too_large, std::align_val_t(64)), std::align_val_t(64));
    } catch (const std::bad_alloc &) {
        has_thrown = true;
    }
    CHECK(has_thrown);

    std::vector<std::string> strings;
    for (int i = 0; i < 10000; i++) strings.push_back(std::string(std::size_t(i % 300), 'a'));
    CHECK(strings[299].size() == 299);
    return failures != 0;
}
