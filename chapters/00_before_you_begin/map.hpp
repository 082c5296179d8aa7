// # The map of the book
//
// Sixty-one chapters, in eleven parts. A name that is a link leads to a chapter that stands; a grey one is still to be
// written, and so is every one that `./run 00` marks with a dot. (Nobody keeps this list up to date: page and program
// look which folders are there.)
//
// Nobody has to read all of it. Fifteen chapters, marked `first_path`, are a first way through. They take you from two
// dials to machines that recognise a digit (16), write text (34) and learn to act (45): 00, 01, 03, 05 and 06 say what
// learning is, 09, 11, 13 and 15 how to make it work and what to do when it does not, 16, 21, 30, 32, 34 and 45 what it
// is good for. After that, go where you like: a chapter says on its first page what it needs. Whoever wants pictures made
// goes on with 39 and 44, whoever wants speed with 56.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "book/chapter.hpp"

struct Stop {
  std::string folder, about;
  bool first_path = false;
};
using Part = std::vector<Stop>;
constexpr bool first_path = true;

// ## Before the first chapter
//
// What the reader needs and no more. You are here.
inline const Part kBefore = {
    {"00_before_you_begin", "numbers in boxes, slopes, chance, rounding",
     first_path},
};

// ## Part I. Finding a function
//
// What learning is: a model, a loss, and a walk downhill. From a straight line to networks, and why they are deep.
inline const Part kFunction = {
    {"01_linear_regression", "a line through points; too many dials", first_path},
    {"02_probabilistic_classification", "two bell curves and Bayes' rule"},
    {"03_logistic_regression", "which of two, which of many", first_path},
    {"04_learning_theory", "why may we trust what was learned?"},
    {"05_neural_network", "lines that bend, and learn where", first_path},
    {"06_autograd", "a machine that takes derivatives", first_path},
    {"07_deep_vs_shallow", "what do more layers buy?"},
};

// ## Part II. Making training work
//
// Why training stops, and what to do: better steps, better starts, less overfitting. Chapter 15 is the one to keep open
// when your own training fails.
inline const Part kTraining = {
    {"08_critical_points", "flat places, saddles, sharp valleys"},
    {"09_optimizers", "from plain steps to Adam and on", first_path},
    {"10_schedules", "when to take smaller steps"},
    {"11_initialization_and_normalization", "signals through fifty layers",
     first_path},
    {"12_activations", "which bend to take"},
    {"13_generalization", "learning the rule, not the examples", first_path},
    {"14_hyperparameter_search", "who sets the settings?"},
    {"15_diagnosis", "twenty faults, and how to find each", first_path},
};

// ## Part III. Images
//
// Networks that know that pixels have neighbours.
inline const Part kImages = {
    {"16_convolution", "one small filter, everywhere", first_path},
    {"17_cnn_architectures", "from LeNet to residual networks"},
    {"18_transfer_learning", "starting from somebody else's network"},
    {"19_spatial_transformer", "a network that straightens its input"},
    {"20_capsules", "units with a direction"},
};

// ## Part IV. Sequences
//
// Words and sounds come one after the other, and the beginning matters to the end.
inline const Part kSequences = {
    {"21_language_models", "how probable is the next word?", first_path},
    {"22_word_embeddings", "words as places in space"},
    {"23_rnn", "networks with a memory"},
    {"24_lstm_gru", "memories that last"},
    {"25_recursive_networks", "networks along the tree of a sentence"},
    {"26_ctc", "sounds to letters, without being told where"},
    {"27_seq2seq_attention", "one sequence into another: translation"},
    {"28_pointer_network", "answers that point at the question"},
    {"29_memory_networks", "a network that writes and reads a memory"},
};

// ## Part V. Attention
//
// Everything may look at everything. The machines that write text are built of this.
inline const Part kAttention = {
    {"30_self_attention", "each asks all: queries, keys, values", first_path},
    {"31_efficient_attention", "the same for long sequences"},
    {"32_transformer", "encoder and decoder, put together", first_path},
    {"33_bert", "reading: fill in the gaps"},
    {"34_gpt", "writing: guess the next token", first_path},
    {"35_pretraining", "what to practise before the task"},
};

// ## Part VI. Structure without labels
//
// What is in the data when nobody says what to look for.
inline const Part kStructure = {
    {"36_clustering", "groups"},
    {"37_pca", "the directions that matter"},
};

// ## Part VII. Generating
//
// Networks that make what was not there: five families, from autoencoders to diffusion.
inline const Part kGenerating = {
    {"38_autoencoder", "through the eye of a needle and back"},
    {"39_vae", "codes one can draw from"},
    {"40_gan", "a forger and an inspector"},
    {"41_wgan", "a better measure of distance"},
    {"42_conditional_gan", "pictures to order"},
    {"43_flow", "exact densities, forwards and back"},
    {"44_diffusion", "from noise, step by step"},
};

// ## Part VIII. Acting
//
// Nobody says what would have been right; there is only a reward, and often late.
inline const Part kActing = {
    {"45_policy_gradient", "doing more of what worked", first_path},
    {"46_actor_critic", "one acts, one judges"},
    {"47_planning", "thinking before acting: search and self-play"},
    {"48_imitation", "learning from somebody who can"},
    {"49_sequence_generation", "rewards for sentences"},
};

// ## Part IX. Trust and deployment
//
// Why did it say so, can it be fooled, does it hold elsewhere, and does it fit into the device?
inline const Part kTrust = {
    {"50_explainability", "what did it look at?"},
    {"51_adversarial", "small changes that fool it"},
    {"52_domain_adaptation", "when the world is not the training set"},
    {"53_compression", "the same in a tenth of the size"},
};

// ## Part X. Learning to learn
//
// One task after the other, and tasks that make the next one easier.
inline const Part kLearning = {
    {"54_lifelong_learning", "learning more without forgetting"},
    {"55_meta_learning", "learning from five examples"},
};

// ## Part XI. The machine underneath
//
// How fast can it be? The same few operations on the processor, on the GPU, and on many machines.
inline const Part kMachine = {
    {"56_cpu_performance", "three loops, made a hundred times as fast"},
    {"57_cuda_matmul", "the same on a GPU, rung by rung"},
    {"58_cuda_convolution", "filters on a GPU"},
    {"59_cuda_attention", "attention without the big table"},
    {"60_distributed", "many machines, one network"},
};

inline const std::vector<std::pair<std::string, Part>> kBook = {
    {"Before the first chapter", kBefore},
    {"I. Finding a function", kFunction},
    {"II. Making training work", kTraining},
    {"III. Images", kImages},
    {"IV. Sequences", kSequences},
    {"V. Attention", kAttention},
    {"VI. Structure without labels", kStructure},
    {"VII. Generating", kGenerating},
    {"VIII. Acting", kActing},
    {"IX. Trust and deployment", kTrust},
    {"X. Learning to learn", kLearning},
    {"XI. The machine underneath", kMachine},
};

// Is there a chapter in that folder, beside this one's?
inline bool is_written(const Stop& stop) {
  return std::filesystem::exists(
      std::filesystem::path(CHAINRULE_CHAPTER).parent_path() / stop.folder /
      "main.cpp");
}

inline void show_the_map(cr::Chapter& chapter) {
  chapter.section("The map of the book");
  chapter.say("* on the first path, · not written yet");
  for (const auto& [title, part] : kBook) {
    chapter.print("\n  " + title + "\n");
    for (const Stop& stop : part) {
      std::string marks =
          std::string(is_written(stop) ? " " : "·") + (stop.first_path ? "*" : " ");
      chapter.print("  " + marks + " " + stop.folder + ": " + stop.about + "\n");
    }
  }
}
