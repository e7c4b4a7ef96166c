// test_acre.cpp - containers of the standard library over heaps, regions and allocators.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include <acre/stack.h>
#include <cpp/acre.hpp>

#include <algorithm>
#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

struct alignas(256) wide {
    int value;
};

// The same work on any containers: vector, map, string, unordered map, over-aligned elements.
template <template <class> class Allocator, class Make> void use_containers(Make make)
{
    using text = std::basic_string<char, std::char_traits<char>, Allocator<char>>;
    std::vector<int, Allocator<int>> numbers(make);
    for (int i = 0; i < 10000; i++) numbers.push_back(i * 7 % 1000);
    std::sort(numbers.begin(), numbers.end());
    assert_true(std::is_sorted(numbers.begin(), numbers.end()) && numbers.size() == 10000);

    std::map<int, text, std::less<int>, Allocator<std::pair<const int, text>>> names(make);
    for (int i = 0; i < 1000; i++) names.emplace(i, text(static_cast<std::size_t>(i % 100), 'x', make));
    for (int i = 0; i < 1000; i += 2) names.erase(i);
    assert_true(names.size() == 500 && names.at(99).size() == 99);

    std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, Allocator<std::pair<const int, int>>> squares(make);
    for (int i = 0; i < 2000; i++) squares[i] = i * i;
    assert_int_equal(squares.at(45), 2025);

    std::vector<wide, Allocator<wide>> wides(make);
    std::list<wide, Allocator<wide>> nodes(make);
    for (int i = 0; i < 50; i++) {
        wides.push_back(wide{i});
        nodes.push_back(wide{i});
    }
    for (const wide &element : wides) assert_int_equal(reinterpret_cast<std::uintptr_t>(&element) % 256, 0);
    for (const wide &element : nodes) assert_int_equal(reinterpret_cast<std::uintptr_t>(&element) % 256, 0);
    assert_int_equal(nodes.back().value + wides.front().value, 49);
}

template <class T> using over_heap = acre::allocator<T>;
template <class T> using over_region = acre::allocator<T, acre_region>;
template <class T> using over_interface = acre::allocator<T, acre_allocator>;
template <class T> using over_resource = std::pmr::polymorphic_allocator<T>;

acre_heap *heap;
acre_space pages;
acre_region region;
acre_allocator interface;

int set_up(void **)
{
    acre_region_options options = {};
    options.space = &pages;
    assert_int_equal(acre_heap_create(nullptr, &heap), ACRE_OK);
    assert_int_equal(acre_space_open_pages(&pages, nullptr), ACRE_OK);
    assert_int_equal(acre_region_create(&options, &region), ACRE_OK);
    acre_heap_allocator(heap, &interface);
    return 0;
}

int tear_down(void **)
{
    acre_heap_figures figures;
    acre_heap_flush(heap);
    acre_heap_read_figures(heap, &figures);
    assert_true(figures.block_bytes == 0 && figures.large_bytes == 0); // every container gave everything back
    acre_region_destroy(&region);
    acre_space_close(&pages);
    acre_heap_destroy(heap);
    return 0;
}

void containers_work_over_a_heap(void **)
{
    use_containers<over_heap>(over_heap<int>(*heap));
    acre::resource resource(*heap);
    use_containers<over_resource>(over_resource<int>(&resource));
}

void containers_work_over_a_region(void **)
{
    use_containers<over_region>(over_region<int>(region));
    assert_int_equal(acre_region_reset(&region), ACRE_OK);
    acre::resource resource(region);
    use_containers<over_resource>(over_resource<int>(&resource));
    assert_true(acre_region_is_valid(&region));
}

void containers_work_over_the_interface(void **)
{
    use_containers<over_interface>(over_interface<int>(interface));
    acre::resource resource(interface);
    use_containers<over_resource>(over_resource<int>(&resource));
}

void out_of_memory_is_bad_alloc(void **)
{
    static char bytes[4096];
    acre_space space;
    acre_region small;
    acre_region_options options = {};
    options.space = &space;
    assert_int_equal(acre_space_open_static(&space, bytes, sizeof bytes), ACRE_OK);
    assert_int_equal(acre_region_create(&options, &small), ACRE_OK);
    int caught = 0;
    try {
        std::vector<int, over_region<int>> numbers{over_region<int>(small)};
        for (int i = 0; i < 100000; i++) numbers.push_back(i);
    } catch (const std::bad_alloc &) {
        caught++;
    }
    acre::resource resource(small);
    for (const std::size_t alignment : {std::size_t{16}, std::size_t{4096}}) {
        try {
            (void)resource.allocate(100000, alignment);
        } catch (const std::bad_alloc &) {
            caught++;
        }
    }
    try {
        (void)over_heap<int>(*heap).allocate(SIZE_MAX / 2);
    } catch (const std::bad_array_new_length &) {
        caught++;
    }
    assert_int_equal(caught, 4);
    acre_region_destroy(&small);
    acre_space_close(&space);
}

void resources_over_the_same_memory_are_equal(void **)
{
    acre_region other_region;
    acre_region_options options = {};
    options.space = &pages;
    assert_int_equal(acre_region_create(&options, &other_region), ACRE_OK);
    const acre::resource first(region);
    const acre::resource second(region);
    const acre::resource other(other_region);
    const acre::resource of_heap(*heap);
    assert_true(first.is_equal(second) && first == second);
    assert_false(first.is_equal(other) || first.is_equal(of_heap) || first.is_equal(*std::pmr::new_delete_resource()));
    assert_true(over_region<int>(region) == over_region<char>(region));
    assert_true(over_region<int>(region) != over_region<int>(other_region));
    acre_region_destroy(&other_region);
}

void a_moved_container_keeps_its_elements_where_they_are(void **)
{
    acre_region other_region;
    acre_region_options options = {};
    options.space = &pages;
    assert_int_equal(acre_region_create(&options, &other_region), ACRE_OK);
    std::vector<int, over_region<int>> from(100, 7, over_region<int>(region));
    std::vector<int, over_region<int>> to{over_region<int>(other_region)};
    const int *const elements = from.data();
    to = std::move(from);
    assert_ptr_equal(to.data(), elements);
    assert_true(&to.get_allocator().over() == &region);
    acre_region_destroy(&other_region);
}

void a_scope_ends_when_an_exception_leaves_it(void **)
{
    acre_stack stack;
    acre_stack_options options = {};
    options.space = &pages;
    options.size_bytes = 65536;
    assert_int_equal(acre_stack_create(&options, &stack), ACRE_OK);
    try {
        ACRE_SCOPE(&stack)
        {
            assert_non_null(acre_stack_alloc(&stack, 1000));
            ACRE_REGION_SCOPE(&region)
            {
                assert_non_null(acre_region_alloc(&region, 1000));
                throw 1;
            }
        }
    } catch (int) {
        assert_int_equal(acre_stack_position(&stack), 0);
        assert_true(acre_region_position(&region).next == region.chunks[0].base);
    }
    acre_stack_destroy(&stack);
}

} // namespace

int main()
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const CMUnitTest tests[] = {
        TEST(containers_work_over_a_heap),
        TEST(containers_work_over_a_region),
        TEST(containers_work_over_the_interface),
        TEST(out_of_memory_is_bad_alloc),
        TEST(resources_over_the_same_memory_are_equal),
        TEST(a_moved_container_keeps_its_elements_where_they_are),
        TEST(a_scope_ends_when_an_exception_leaves_it),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
