// A C++ file with templates of the library, as compilers meet them.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

struct Number { double value; };
struct Name { std::string text; };
struct Call;
using Expression = std::variant<Number, Name, std::unique_ptr<Call>>;
struct Call {
    std::string function;
    std::vector<Expression> arguments;
};

class Evaluator {
public:
    Evaluator() {
        functions_["sum"] = [](const std::vector<double>& of) {
            double sum = 0;
            for (double value : of) sum += value;
            return sum;
        };
        functions_["max"] = [](const std::vector<double>& of) { return *std::max_element(of.begin(), of.end()); };
    }
    double evaluate(const Expression& expression) const {
        return std::visit([this](const auto& part) { return this->part(part); }, expression);
    }
    std::map<std::string, double> names;

private:
    double part(const Number& number) const { return number.value; }
    double part(const Name& name) const { return names.at(name.text); }
    double part(const std::unique_ptr<Call>& call) const {
        std::vector<double> values;
        for (const auto& argument : call->arguments) values.push_back(evaluate(argument));
        return functions_.at(call->function)(values);
    }
    std::map<std::string, std::function<double(const std::vector<double>&)>> functions_;
};

double run(int depth) {
    Evaluator evaluator;
    evaluator.names["x"] = 2;
    auto call = std::make_unique<Call>();
    call->function = depth % 2 ? "sum" : "max";
    for (int i = 0; i < depth; i++) {
        call->arguments.emplace_back(Number{1.0 * i});
        call->arguments.emplace_back(Name{"x"});
    }
    return evaluator.evaluate(Expression{std::move(call)});
}
