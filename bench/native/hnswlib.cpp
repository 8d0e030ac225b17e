// The peer of `bench -- graph`: plain hnswlib, from the headers inside the package hnswlib-node, on vectors in a file. One thread.
// Arguments: FILE COUNT PROBES DIMENSIONS M EF_CONSTRUCTION. Prints the seconds of its construction and its bytes; then, for each line "EF K" of its input,
// the microseconds a search and the labels of all answers, nearest first.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>
#include "hnswlib/hnswlib.h"

using Clock = std::chrono::steady_clock;

static double since(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  const size_t count = std::atoll(argv[2]), probes = std::atoll(argv[3]), dimensions = std::atoll(argv[4]);
  std::vector<float> vectors((count + probes) * dimensions);
  FILE *file = std::fopen(argv[1], "rb");
  if (!file || std::fread(vectors.data(), sizeof(float), vectors.size(), file) != vectors.size()) return 1;
  std::fclose(file);
  hnswlib::L2Space space(dimensions);
  hnswlib::HierarchicalNSW<float> graph(&space, count, std::atoll(argv[5]), std::atoll(argv[6]));
  const auto began = Clock::now();
  for (size_t i = 0; i < count; i++) graph.addPoint(vectors.data() + i * dimensions, i);
  const size_t bytes = graph.size_data_per_element_ * count + graph.size_links_per_element_ * count / std::atoll(argv[5]);
  std::printf("{\"seconds\":%.3f,\"bytes\":%zu}\n", since(began), bytes);
  std::fflush(stdout);
  size_t ef, k;
  while (std::scanf("%zu %zu", &ef, &k) == 2) {
    graph.setEf(ef);
    std::vector<size_t> labels(probes * k);
    const auto from = Clock::now();
    for (size_t probe = 0; probe < probes; probe++) {
      auto found = graph.searchKnn(vectors.data() + (count + probe) * dimensions, k);
      for (size_t place = found.size(); place-- > 0; found.pop()) labels[probe * k + place] = found.top().second;
    }
    std::printf("{\"microseconds\":%.3f,\"labels\":[", 1e6 * since(from) / probes);
    for (size_t i = 0; i < labels.size(); i++) std::printf(i ? ",%zu" : "%zu", labels[i]);
    std::printf("]}\n");
    std::fflush(stdout);
  }
}
