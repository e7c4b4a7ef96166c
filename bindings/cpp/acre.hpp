// acre.hpp - the containers of C++17 over a heap, a region, or whatever stands behind the interface of allocator.h.
//
//     acre_heap *heap;                                          acre_region region;
//     acre_heap_create(nullptr, &heap);                         acre_region_create(&options, &region);
//     acre::resource over_heap(*heap);                          acre::allocator<int, acre_region> over_region(region);
//     std::pmr::vector<int> numbers(&over_heap);                std::vector<int, decltype(over_region)> more(over_region);
//
// The memory must stay until the last container over it is gone, and its addresses must be pointers (ACRE_CAP_HOST_ACCESS). Allocate throws
// std::bad_alloc when the memory is exhausted; acre_last_error() has the sentence. Every alignment is kept. Deallocate gives a block back
// to a heap or an allocator at once; a region takes blocks back together, by rewind, reset or destroy. Thread safety and cost are those of
// the memory: a vector over a region costs what acre_region_alloc costs, without a virtual call.
#ifndef ACRE_HPP
#define ACRE_HPP

#include <acre/allocator.h>
#include <acre/heap.h>
#include <acre/region.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <new>
#include <type_traits>

namespace acre {

// One overload a kind of memory. A new kind needs a pair of its own, found by its type.
namespace memory {

constexpr std::size_t plain_alignment = 16; // what every block has

inline void *pointer(acre_addr address) noexcept { return reinterpret_cast<void *>(static_cast<std::uintptr_t>(address)); }
inline acre_addr address(void *block) noexcept { return reinterpret_cast<std::uintptr_t>(block); }

inline void *allocate(acre_heap &heap, std::size_t size, std::size_t alignment) noexcept
{
    return alignment <= plain_alignment ? acre_heap_alloc(&heap, size) : pointer(acre_heap_alloc_address(&heap, size, alignment, nullptr));
}
inline void deallocate(acre_heap &heap, void *block) noexcept { acre_heap_free(&heap, block); }

inline void *allocate(acre_region &region, std::size_t size, std::size_t alignment) noexcept
{
    return alignment <= plain_alignment ? acre_region_alloc(&region, size) : pointer(acre_region_alloc_address(&region, size, alignment));
}
inline void deallocate(acre_region &, void *) noexcept {}

inline void *allocate(acre_allocator &allocator, std::size_t size, std::size_t alignment) noexcept
{
    return pointer(acre_allocator_alloc(&allocator, size, alignment, nullptr));
}
inline void deallocate(acre_allocator &allocator, void *block) noexcept { acre_allocator_free(&allocator, address(block)); }

} // namespace memory

// For std::pmr. Two resources are equal when they are over the same memory.
template <class Memory> class resource final : public std::pmr::memory_resource
{
  public:
    explicit resource(Memory &over) noexcept : over_(&over) {}

  private:
    void *do_allocate(std::size_t size, std::size_t alignment) override
    {
        void *const block = memory::allocate(*over_, size, alignment);
        if (block == nullptr) throw std::bad_alloc();
        return block;
    }

    void do_deallocate(void *block, std::size_t, std::size_t) override { memory::deallocate(*over_, block); }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
        const auto *const same = dynamic_cast<const resource *>(&other);
        return same != nullptr && same->over_ == over_;
    }

    Memory *over_;
};

// For the allocator parameter of a container. It goes along when a container is moved or swapped, so that neither copies an element.
template <class T, class Memory = acre_heap> class allocator
{
  public:
    using value_type = T;
    using is_always_equal = std::false_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;

    explicit allocator(Memory &over) noexcept : over_(&over) {}
    template <class U> allocator(const allocator<U, Memory> &other) noexcept : over_(&other.over()) {}

    [[nodiscard]] T *allocate(std::size_t count)
    {
        if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_array_new_length();
        void *const block = memory::allocate(*over_, count * sizeof(T), alignof(T));
        if (block == nullptr) throw std::bad_alloc();
        return static_cast<T *>(block);
    }

    void deallocate(T *block, std::size_t) noexcept { memory::deallocate(*over_, block); }

    Memory &over() const noexcept { return *over_; }

  private:
    Memory *over_;
};

template <class T, class U, class Memory> bool operator==(const allocator<T, Memory> &a, const allocator<U, Memory> &b) noexcept
{
    return &a.over() == &b.over();
}

template <class T, class U, class Memory> bool operator!=(const allocator<T, Memory> &a, const allocator<U, Memory> &b) noexcept
{
    return !(a == b);
}

} // namespace acre
#endif
