#include "op_table.hpp"

namespace cr::test {
namespace {

// PyTorch's reduction. Its older arguments size_average and reduce, where given, override it.
struct Reduced {
  std::string reduction;
  std::optional<bool> size_average, reduce;
  operator Reduction() const {
    if (size_average || reduce) {
      return !reduce.value_or(true) ? Reduction::none : size_average.value_or(true) ? Reduction::mean : Reduction::sum;
    }
    if (reduction == "mean") return Reduction::mean;
    if (reduction == "sum") return Reduction::sum;
    if (reduction == "none") return Reduction::none;
    throw Unsupported("no reduction is called " + reduction);
  }
};
using Flag = std::optional<bool>;

// Losses whose one option is the reduction.
auto simple(Tensor (*f)(const Tensor&, const Tensor&, Reduction)) {
  return [f](Tensor input, Tensor target, Flag average, Flag reduce, std::string reduction) {
    return f(input, target, Reduced{reduction, average, reduce});
  };
}

// Those with a weight as well, which PyTorch names last or third.
using Weighted = Tensor (*)(const Tensor&, const Tensor&, const WeightedLoss&);
auto weight_last(Weighted f) {
  return [f](Tensor input, Tensor target, Flag average, Flag reduce, std::string reduction, Tensor weight) {
    return f(input, target, {.weight = weight, .reduction = Reduced{reduction, average, reduce}});
  };
}
auto weight_third(Weighted f) {
  return [f](Tensor input, Tensor target, Tensor weight, Flag average, Flag reduce, std::string reduction) {
    return f(input, target, {.weight = weight, .reduction = Reduced{reduction, average, reduce}});
  };
}

// Two inputs or one, a target and a margin.
auto with_margin(Tensor (*f)(const Tensor&, const Tensor&, const Tensor&, const MarginLoss&)) {
  return [f](Tensor x, Tensor y, Tensor target, double margin, Flag average, Flag reduce, std::string reduction) {
    return f(x, y, target, {.margin = margin, .reduction = Reduced{reduction, average, reduce}});
  };
}

Tensor one_variance(const Tensor& input, const Operand& var) {
  return var.is_tensor() ? var.tensor() : full(input.shape(), var.scalar(), input.dtype(), input.device());
}

}  // namespace

Table loss_ops() {
  return {
      {"mse_loss", "input target size_average=null reduce=null reduction=\"mean\" weight=null", weight_last(mse_loss)},
      {"l1_loss", "input target size_average=null reduce=null reduction=\"mean\" weight=null", weight_last(l1_loss)},
      {"smooth_l1_loss", "input target size_average=null reduce=null reduction=\"mean\" beta=1",
       [](Tensor x, Tensor y, Flag average, Flag reduce, std::string reduction, double beta) {
         return smooth_l1_loss(x, y, {.beta = beta, .reduction = Reduced{reduction, average, reduce}});
       }},
      {"huber_loss", "input target reduction=\"mean\" delta=1 weight=null",
       [](Tensor x, Tensor y, std::string reduction, double delta, Tensor weight) {
         return huber_loss(x, y, {.delta = delta, .weight = weight, .reduction = Reduced{reduction, {}, {}}});
       }},
      {"gaussian_nll_loss", "input target var full=false eps=1e-6 reduction=\"mean\"",
       [](Tensor x, Tensor y, Operand var, bool full, double eps, std::string reduction) {
         return gaussian_nll_loss(x, y, one_variance(x, var),
                                  {.full = full, .eps = eps, .reduction = Reduced{reduction, {}, {}}});
       }},
      {"poisson_nll_loss",
       "input target log_input=true full=false size_average=null eps=1e-8 reduce=null reduction=\"mean\"",
       [](Tensor x, Tensor y, bool log_input, bool full, Flag average, double eps, Flag reduce, std::string reduction) {
         Reduction r = Reduced{reduction, average, reduce};
         return poisson_nll_loss(x, y, {.log_input = log_input, .full = full, .eps = eps, .reduction = r});
       }},
      {"nll_loss", "input target weight=null size_average=null ignore_index=-100 reduce=null reduction=\"mean\"",
       [](Tensor x, Tensor y, Tensor weight, Flag average, int64_t ignored, Flag reduce, std::string reduction) {
         Reduction r = Reduced{reduction, average, reduce};
         return nll_loss(x, y, {.weight = weight, .ignore_index = ignored, .reduction = r});
       }},
      {"cross_entropy",
       "input target weight=null size_average=null ignore_index=-100 reduce=null reduction=\"mean\" "
       "label_smoothing=0",
       [](Tensor x, Tensor y, Tensor weight, Flag average, int64_t ignored, Flag reduce, std::string reduction,
          double smoothing) {
         return cross_entropy(x, y,
                              {.weight = weight,
                               .ignore_index = ignored,
                               .label_smoothing = smoothing,
                               .reduction = Reduced{reduction, average, reduce}});
       }},
      {"linear_cross_entropy",
       "input linear_weight target linear_bias=null weight=null reduction=\"mean\" ignore_index=null "
       "label_smoothing=0 options=null",
       [](Tensor x, Tensor w, Tensor y, Tensor bias, Tensor weight, std::string reduction,
          std::optional<int64_t> ignored, double smoothing, Json options) {
         if (!options.is_null()) throw Unsupported("linear_cross_entropy: no options");
         // The weight may have more dimensions between classes and features: (n, in), (classes, …, in) → (n, classes, …).
         Shape shape = x.shape();
         shape.erase(x.dim() - 1);
         for (int d = 0; d + 1 < w.dim(); ++d) shape.push_back(w.shape()[d]);
         if (bias.defined()) bias = bias.reshape({-1});
         Tensor logits = linear(x, w.reshape({-1, w.size(-1)}), bias).reshape(shape);
         return cross_entropy(logits, y,
                              {.weight = weight,
                               .ignore_index = ignored.value_or(-100),
                               .label_smoothing = smoothing,
                               .reduction = Reduced{reduction, {}, {}}});
       }},
      {"kl_div", "input target size_average=null reduce=null reduction=\"mean\" log_target=false",
       [](Tensor x, Tensor y, Flag average, Flag reduce, std::string reduction, bool log_target) {
         if (reduction == "batchmean") return kl_div(x, y, {.log_target = log_target, .batchmean = true});
         return kl_div(x, y, {.log_target = log_target, .reduction = Reduced{reduction, average, reduce}});
       }},
      {"multi_margin_loss", "input target p=1 margin=1 weight=null size_average=null reduce=null reduction=\"mean\"",
       [](Tensor x, Tensor y, int64_t p, double margin, Tensor weight, Flag average, Flag reduce,
          std::string reduction) {
         Reduction r = Reduced{reduction, average, reduce};
         return multi_margin_loss(x, y, {.p = p, .margin = margin, .weight = weight, .reduction = r});
       }},
      {"binary_cross_entropy", "input target weight=null size_average=null reduce=null reduction=\"mean\"",
       weight_third(binary_cross_entropy)},
      {"binary_cross_entropy_with_logits",
       "input target weight=null size_average=null reduce=null reduction=\"mean\" pos_weight=null",
       [](Tensor x, Tensor y, Tensor weight, Flag average, Flag reduce, std::string reduction, Tensor pos_weight) {
         Reduction r = Reduced{reduction, average, reduce};
         return binary_cross_entropy_with_logits(x, y, {.weight = weight, .reduction = r, .pos_weight = pos_weight});
       }},
      {"multilabel_soft_margin_loss", "input target weight=null size_average=null reduce=null reduction=\"mean\"",
       weight_third(multilabel_soft_margin_loss)},
      {"multilabel_margin_loss", "input target size_average=null reduce=null reduction=\"mean\"",
       simple(multilabel_margin_loss)},
      {"soft_margin_loss", "input target size_average=null reduce=null reduction=\"mean\"", simple(soft_margin_loss)},
      {"hinge_embedding_loss", "input target margin=1 size_average=null reduce=null reduction=\"mean\"",
       [](Tensor x, Tensor y, double margin, Flag average, Flag reduce, std::string reduction) {
         return hinge_embedding_loss(x, y, {.margin = margin, .reduction = Reduced{reduction, average, reduce}});
       }},
      {"margin_ranking_loss", "input1 input2 target margin=0 size_average=null reduce=null reduction=\"mean\"",
       with_margin(margin_ranking_loss)},
      {"cosine_embedding_loss", "input1 input2 target margin=0 size_average=null reduce=null reduction=\"mean\"",
       with_margin(cosine_embedding_loss)},
      {"triplet_margin_loss",
       "anchor positive negative margin=1 p=2 eps=1e-6 swap=false size_average=null reduce=null reduction=\"mean\"",
       [](Tensor a, Tensor b, Tensor c, double margin, double p, double eps, bool swap, Flag average, Flag reduce,
          std::string reduction) {
         Reduction r = Reduced{reduction, average, reduce};
         return triplet_margin_loss(a, b, c, {.margin = margin, .p = p, .eps = eps, .swap = swap, .reduction = r});
       }},
      {"triplet_margin_with_distance_loss",
       "anchor positive negative distance_function=null margin=1 swap=false reduction=\"mean\"",
       [](Tensor a, Tensor b, Tensor c, Json distance, double margin, bool swap, std::string reduction) {
         if (!distance.is_null()) throw Unsupported("triplet_margin_with_distance_loss: no distance_function");
         Reduction r = Reduced{reduction, {}, {}};
         return triplet_margin_with_distance_loss(a, b, c, {.margin = margin, .swap = swap, .reduction = r});
       }},
  };
}

}  // namespace cr::test
