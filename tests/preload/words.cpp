// A small file of the standard library's templates, for the compiler to chew on.
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>

int main()
{
    std::map<std::string, std::vector<int>> places;
    std::unordered_map<std::string, std::unique_ptr<int>> counts;
    std::regex word("[a-z]+");
    std::string line;
    for (int at = 0; std::getline(std::cin, line); at++)
        for (std::sregex_iterator it(line.begin(), line.end(), word), end; it != end; ++it) {
            places[it->str()].push_back(at);
            auto &count = counts[it->str()];
            count = std::make_unique<int>(count ? *count + 1 : 1);
        }
    for (auto &[name, lines] : places) {
        std::sort(lines.rbegin(), lines.rend());
        std::cout << name << ' ' << lines.front() << ' ' << *counts[name] << '\n';
    }
}
