# chainrule_gpu_sources(TARGET FILES…) adds kernel sources, .cu, to a target. Each is compiled
#
#   - for the emulator, as C++ by the compiler of everything else, where CHAINRULE_SIMT is on;
#   - by nvcc, where CHAINRULE_CUDA is on;
#
# so it may end up in a program twice, once in namespace simt and once in namespace cuda, or not at all.
# chainrule_simt_sources and chainrule_cuda_sources(TARGET FILES…) are the halves.
include_guard(GLOBAL)

function(chainrule_gpu_sources target)
  chainrule_simt_sources(${target} ${ARGN})
  chainrule_cuda_sources(${target} ${ARGN})
endfunction()

# Only by nvcc: what stands beneath the kernels on a GPU.
function(chainrule_cuda_sources target)
  if(NOT CHAINRULE_CUDA OR NOT ARGN)
    return()
  endif()
  set(objects ${target}_cuda_kernels)
  if(TARGET ${objects})
    set(objects ${target}_cuda_runtime)
  endif()
  chainrule_kernel_objects(${target} ${objects} ${ARGN})
  # Our constexpr functions may be called on the GPU; profilers get line numbers; and the host's half of each file is
  # compiled as the rest of the library is.
  target_compile_options(${objects} PRIVATE --expt-relaxed-constexpr --extended-lambda -lineinfo
                                            -Xcompiler=-ffp-contract=off)
endfunction()

# The emulator's watcher sees every load and store because the compiler is told to instrument them for the thread
# sanitizer; the functions it calls are ours (backend/simt/hooks.cpp), and the sanitizer's own library is not linked. A
# sanitizer that somebody really asked for cannot share a program with that: then kernels are compiled like all else.
#
# The other options keep the accesses those of the source: none merged into wider ones, none made by the library, copies
# between them that the compiler would expand where nothing is instrumented any more, and those of two branches stay two. And a
# last call stays a call, so that it has a line to return to.
if(CHAINRULE_SIMT AND NOT CHAINRULE_SANITIZE AND NOT CHAINRULE_FUZZ)
  set(CHAINRULE_SIMT_CHECKS 1)
  set(simt_options -fsanitize=thread -ftls-model=initial-exec $<IF:$<CONFIG:Debug>,-g,-g1> -fno-optimize-sibling-calls -fno-math-errno
      -fno-builtin-memcpy -fno-builtin-memmove -fno-builtin-memset)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    list(APPEND simt_options -fno-vectorize -fno-slp-vectorize "SHELL:-mllvm -sink-common-insts=false" "SHELL:-mllvm -tsan-instrument-read-before-write=1")
  else()
    list(APPEND simt_options -fno-tree-vectorize -fno-store-merging -fno-tree-loop-distribute-patterns -fno-crossjumping
                -fno-tree-tail-merge "$<$<CONFIG:Debug>:-finline-small-functions;-finline-functions>")  # CUDA's words are part of the kernel's line
  endif()
else()
  set(CHAINRULE_SIMT_CHECKS 0)
  set(simt_options "")
endif()

function(chainrule_simt_sources target)
  if(NOT CHAINRULE_SIMT OR NOT ARGN)
    return()
  endif()

  # CMake takes a .cu file for CUDA, so the compiler gets a .cpp file of one line that includes it.
  set(wrappers "")
  foreach(file ${ARGN})
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
    cmake_path(RELATIVE_PATH file BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE path)
    set(wrapper ${PROJECT_BINARY_DIR}/simt/${path}.cpp)
    file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${file}\"\n" @ONLY)
    set_property(SOURCE ${wrapper} APPEND PROPERTY OBJECT_DEPENDS ${file})
    list(APPEND wrappers ${wrapper})
  endforeach()
  chainrule_kernel_objects(${target} ${target}_simt_kernels ${wrappers})
  target_link_libraries(${target}_simt_kernels PRIVATE chainrule_flags)
  target_compile_options(${target}_simt_kernels PRIVATE ${simt_options} -Wno-unknown-pragmas)  # `#pragma unroll` is nvcc's
  target_compile_definitions(${target}_simt_kernels PRIVATE CHAINRULE_SIMT_CHECKS=${CHAINRULE_SIMT_CHECKS})
endfunction()

# An object library with what `target` would compile its own sources with; its objects are linked wherever target is.
function(chainrule_kernel_objects target objects)
  add_library(${objects} OBJECT ${ARGN})
  set_target_properties(${objects} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${objects} PRIVATE $<TARGET_PROPERTY:chainrule,INTERFACE_INCLUDE_DIRECTORIES>
                                                $<TARGET_PROPERTY:${target},INCLUDE_DIRECTORIES>)
  target_compile_definitions(${objects} PRIVATE $<TARGET_PROPERTY:chainrule,INTERFACE_COMPILE_DEFINITIONS>
                                                $<TARGET_PROPERTY:${target},COMPILE_DEFINITIONS>)
  target_link_libraries(${objects} PRIVATE fmt::fmt)
  get_target_property(type ${target} TYPE)
  if(type MATCHES "INTERFACE_LIBRARY|OBJECT_LIBRARY")
    target_sources(${target} INTERFACE $<TARGET_OBJECTS:${objects}>)
  else()
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
  endif()
endfunction()
