// A program that defines the allocation operators of C++ alone, over malloc.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

static long news, deletes;

void *operator new(std::size_t bytes)
{
    news++;
    char *object = static_cast<char *>(std::malloc(bytes + 16));
    return object + 16;
}

void operator delete(void *object) noexcept
{
    deletes++;
    std::free(object ? static_cast<char *>(object) - 16 : nullptr);
}

void operator delete(void *object, std::size_t) noexcept
{
    operator delete(object);
}

int main()
{
    {
        std::vector<std::string> words;
        for (int i = 0; i < 10000; i++) {
            words.push_back(std::string(i % 100, 'x'));
        }
        char *copy = strdup(words[99].c_str());
        if (std::strlen(copy) != 99) {
            return 1;
        }
        std::free(copy);
    }
    std::printf("%d checks, %d failures\n", 1, news == deletes && news > 1000 ? 0 : 1);
}
