// # Every primitive of the waist is a kernel, or says that it is none
#include "backend/backend.hpp"

#if CHAINRULE_SIMT
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>

#include "backend/simt/counts.hpp"
#include "catch.hpp"
#include "chainrule.hpp"

using namespace cr;
using backend::Backend;

namespace {

// What the host computes for the GPU.
const std::set<std::string> kOnHost = {"cholesky",        "lu", "qr", "householder_product", "eigh", "svd",
                                       "solve_triangular"};

Tensor numbers(const Shape& shape) {
  Generator g(3);
  return rand(shape, g).to(Device::simt);
}
Tensor whole(const Shape& shape) { return zeros(shape, DType::int64, Device::simt); }
Tensor wide(const Shape& shape) { return zeros(shape, DType::float64, Device::simt); }

// A call of each, on tensors that are on the emulator already.
std::map<std::string, std::function<void()>> calls() {
  Backend& b = backend::on(Device::simt);
  const Tensor x = numbers({6, 8}), y = numbers({6, 8}), z = numbers({6, 8}), w = numbers({8, 6}), v = numbers({8});
  const Tensor rows = numbers({6}), i = whole({6, 8}), j = whole({6}), statistics = wide({6}), square = numbers({6, 6});
  const Tensor images = numbers({2, 3, 6}), taps = numbers({4, 3, 3}), maps = numbers({2, 4, 4});
  const Tensor pooled = numbers({2, 3}), places = whole({2, 3}), planes = numbers({2, 6});
  const Tensor channels = numbers({3}), of_channels = wide({3}), more = numbers({2, 3, 6});
  const backend::Window window{{1}, {0}, {1}};
  const std::vector<backend::PoolSpan> spans{{{0, 2, 4}, {2, 4, 6}, {2, 2, 2}, 1}};
  const Tensor q = numbers({2, 4, 8}), k = numbers({2, 4, 8}), normalizer = numbers({2, 4, 2}),
               out = numbers({2, 4, 8});
  const backend::RecurrentLayer gru{
      backend::Recurrent::gru, false,         numbers({3, 2, 4}), numbers({15, 4}), numbers({15, 5}),
      numbers({15}),           numbers({15}), numbers({4, 2, 5}), Tensor(),         numbers({3, 2, 20})};
  const backend::RecurrentGradients gradients{numbers({3, 2, 5}), numbers({2, 5}),  Tensor(),      numbers({3, 2, 4}),
                                              numbers({15, 4}),   numbers({15, 5}), numbers({15}), numbers({15})};
  std::map<std::string, std::function<void()>> f;
  f["fill"] = [=, &b] { b.fill(x, 1.5); };
  f["copy"] = [=, &b] { b.copy(x, y); };
  f["arange"] = [=, &b] { b.arange(v, 0, 1); };
  f["map"] = [=, &b] {
    backend::Operand in[] = {x, y};
    b.map(functor::Maps::index_of<functor::Add>(), z, in);
  };
  f["reduce"] = [=, &b] { b.reduce(0, numbers({6, 1}), x, {1}); };
  f["arg_reduce"] = [=, &b] { b.arg_reduce(true, j.unsqueeze(1), x, 1); };
  f["gemm"] = [=, &b] { b.gemm(square, x, w, {}); };
  f["distances"] = [=, &b] { b.distances(square.unsqueeze(0), x.unsqueeze(0), y.unsqueeze(0), 2); };
  f["gather"] = [=, &b] { b.gather(z, x, 0, i, "gather"); };
  f["scatter"] = [=, &b] { b.scatter(z, 0, i, x, backend::Place::add, "scatter"); };
  f["nonzero"] = [=, &b] { b.nonzero(x); };
  f["add_overlapping"] = [=, &b] { b.add_overlapping(v.expand({6, 8}), x); };
  f["softmax"] = [=, &b] { b.softmax(z, x, false); };
  f["softmax_backward"] = [=, &b] { b.softmax_backward(z, x, y, true); };
  f["cross_entropy"] = [=, &b] { b.cross_entropy(rows, statistics, x, j); };
  f["cross_entropy_backward"] = [=, &b] { b.cross_entropy_backward(z, x, j, statistics, rows); };
  f["sort"] = [=, &b] { b.sort(z, i, x, 1, false); };
  f["pick"] = [=, &b] { b.pick(backend::Pick::kth, rows.unsqueeze(1), j.unsqueeze(1), x, 1, 2); };
  f["scan"] = [=, &b] { b.scan(backend::Scan::sum, z, x, 1, false); };
  f["scan_linear"] = [=, &b] { b.scan_linear(z, x, y, 1, false); };
  f["scan_extreme"] = [=, &b] { b.scan_extreme(true, z, i, x, 1); };
  f["search_sorted"] = [=, &b] { b.search_sorted(i, v, x, false); };
  f["logsumexp"] = [=, &b] { b.logsumexp(rows, x); };
  f["layer_norm"] = [=, &b] { b.layer_norm(z, statistics, statistics, x, v, v, 1e-5); };
  f["layer_norm_backward"] = [=, &b] { b.layer_norm_backward(z, v, v, y, x, v, statistics, statistics, 1e-5); };
  f["batch_norm"] = [=, &b] { b.batch_norm(more, of_channels, of_channels, images, channels, channels, 1e-5); };
  f["batch_norm_backward"] = [=, &b] {
    b.batch_norm_backward(more, channels, channels, images, images, channels, of_channels, of_channels, 1e-5);
  };
  f["random"] = [=, &b] { b.random(x, backend::Random::normal, {}, 0, 0); };
  f["conv"] = [=, &b] { b.conv(maps, images, taps, Tensor(), window, 1); };
  f["conv_input"] = [=, &b] { b.conv_input(more, maps, taps, Tensor(), window, 1); };
  f["conv_weight"] = [=, &b] { b.conv_weight(taps, images, maps, window, 1); };
  f["max_pool"] = [=, &b] { b.max_pool(pooled, places, planes, spans); };
  f["max_pool_backward"] = [=, &b] { b.max_pool_backward(planes, pooled, places, spans); };
  f["avg_pool"] = [=, &b] { b.avg_pool(pooled, planes, spans); };
  f["avg_pool_backward"] = [=, &b] { b.avg_pool_backward(planes, pooled, spans); };
  f["recurrent"] = [=, &b] { b.recurrent(gru); };
  f["recurrent_backward"] = [=, &b] { b.recurrent_backward(gru, gradients); };
  f["attention"] = [=, &b] { b.attention(out, normalizer, q, k, k, Tensor(), 0.5, false); };
  f["attention_backward"] = [=, &b] {
    const Tensor dq = numbers({2, 4, 8}), dk = numbers({2, 4, 8}), dv = numbers({2, 4, 8});
    b.attention_backward(dq, dk, dv, out, out, normalizer, q, k, k, Tensor(), 0.5, false);
  };
  const Tensor factor = numbers({1, 4, 4}), four = numbers({1, 4}), info = whole({1}), pivots = whole({1, 4});
  f["cholesky"] = [=, &b] { b.cholesky(factor, info); };
  f["lu"] = [=, &b] { b.lu(factor, pivots, info); };
  f["solve_triangular"] = [=, &b] { b.solve_triangular(numbers({1, 4, 4}), factor, true, true); };
  f["qr"] = [=, &b] { b.qr(factor, four); };
  f["householder_product"] = [=, &b] { b.householder_product(factor, four); };
  f["eigh"] = [=, &b] { b.eigh(factor, four, true, true, info); };
  f["svd"] = [=, &b] { b.svd(factor, Tensor(), four, Tensor(), info); };
  f["sgd"] = [=, &b] { b.sgd(x, y, z, {0.1, 0.9, 0, 0, false, true}); };
  f["adam"] = [=, &b] { b.adam(x, y, z, z, Tensor(), {0.1, 0.9, 0.99, 1e-8, 0, 1}); };
  f["adagrad"] = [=, &b] { b.adagrad(x, y, z, {0.1, 1e-8, 0, false}); };
  f["rmsprop"] = [=, &b] { b.rmsprop(x, y, z, Tensor(), Tensor(), {0.1, 0.9, 1e-8, 0, 0, false}); };
  return f;
}

std::set<std::string> primitives() {
  std::ifstream in(std::string(CHAINRULE_SOURCE_DIR) + "/common/backend/backend.hpp");
  REQUIRE(in.good());
  std::set<std::string> found;
  const std::regex declaration(R"(^  virtual \w+ (\w+)\()");
  std::smatch match;
  for (std::string line; std::getline(in, line);) {
    const bool computes = line.find('{') == std::string::npos;  // what has a body need not be overridden
    if (computes && std::regex_search(line, match, declaration)) found.insert(match[1]);
  }
  return found;
}

}  // namespace

TEST_CASE("every primitive launches a kernel of its own, or is named as the host's", "[simt][waist]") {
  auto call = calls();
  std::string wrong;
  for (const std::string& name : primitives()) {
    REQUIRE(call.count(name) == 1);
    const std::function<void()> run = call[name];
    run();  // what it sets up once does not count
    const backend::simt::Counts counts = backend::simt::count(run);
    if (!counts.checked) SKIP("this build counts nothing");
    std::set<std::string> kernels;
    for (const auto& line : counts.lines) kernels.insert(line.kernel);
    for (const char* helper : {"fill", "copy", "randn", "rand"}) {
      if (name != "fill" && name != "copy" && name != "random") kernels.erase(helper);
    }
    if (kernels.empty() != (kOnHost.count(name) == 1)) wrong += " " + name;
  }
  INFO("another place than this test says:" << wrong);
  CHECK(wrong.empty());
}
#endif
