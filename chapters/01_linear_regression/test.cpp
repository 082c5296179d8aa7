#include "catch.hpp"
#include "chapter_test.hpp"
