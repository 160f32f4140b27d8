// A C++ program that is linked with libhakmem.a: operator new and delete are hakmem's, and nothing in it names malloc.
#include <hakmem.h>

#include <cstdio>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

struct alignas(256) Wide {
    char bytes[256];
};

int main()
{
    auto number = std::make_unique<int>(7);
    auto many = std::make_unique<int[]>(100'000);
    auto wide = std::make_unique<Wide>(); // aligned new, and aligned sized delete
    std::map<std::string, std::vector<int>> words;
    std::thread([&] { // what another thread allocates is freed here
        for (int i = 0; i < 1000; i++)
            words["a word that is longer than a short string " + std::to_string(i)].resize(i);
    }).join();
    void *sized = ::operator new(48);
    bool is_served = hakmem_owns(number.get()) && hakmem_owns(many.get()) && hakmem_owns(wide.get()) &&
                     hakmem_owns(words.begin()->first.data()) && hakmem_owns(sized);
#ifdef __cpp_sized_deallocation
    ::operator delete(sized, std::size_t(48));
#else
    ::operator delete(sized);
#endif
    try {
        (void)::operator new(std::size_t(-1) / 4);
        is_served = false;
    } catch (const std::bad_alloc &) {
    }
    words.clear();
    std::puts(is_served ? "served by hakmem" : "NOT served by hakmem");
    return is_served ? 0 : 1;
}
