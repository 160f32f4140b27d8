// Benchmarks of a vector for google-benchmark.toml.

#include <benchmark/benchmark.h>

#include <vector>

template <class Number>
static void BM_Fill(benchmark::State& state) {
  for (auto _ : state) {
    std::vector<Number> numbers;
    for (int i = 0; i < state.range(0); ++i) numbers.push_back(Number(i));
    benchmark::DoNotOptimize(numbers.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK_TEMPLATE(BM_Fill, int)->Arg(8)->Arg(512);

BENCHMARK_MAIN();
