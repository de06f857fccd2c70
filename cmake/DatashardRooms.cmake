# ds_room(<name> [LINK <targets>…] [PCH <headers>…]): the library of src/<name> from its *.cc, and its tests from its
# *_test.cc as the executable <name>_test, one ctest entry per test, labelled with the room.
include(GoogleTest)

add_library(datashard_options INTERFACE)
target_compile_features(datashard_options INTERFACE cxx_std_20)
target_compile_options(datashard_options INTERFACE -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms of g++ 12 about std::string inside std::optional, and about adding strings.
  target_compile_options(datashard_options INTERFACE -Wno-maybe-uninitialized -Wno-stringop-overflow)
endif()
target_include_directories(datashard_options INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)

function(ds_room name)
  cmake_parse_arguments(ROOM "TEST_ONLY" "" "LINK;PCH" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(sources)
    add_library(ds_${name} STATIC ${sources})
    target_link_libraries(ds_${name} PUBLIC datashard_options ${ROOM_LINK})
    if(ROOM_PCH)
      target_precompile_headers(ds_${name} PRIVATE ${ROOM_PCH})
    endif()
  else()
    add_library(ds_${name} INTERFACE)
    target_link_libraries(ds_${name} INTERFACE datashard_options ${ROOM_LINK})
  endif()
  if(DATASHARD_TESTS AND tests)
    # Every room's tests may use the simulation's stores and clock; ds_sim is defined later.
    ds_test(${name}_test LABEL ${name} SOURCES ${tests} LINK ds_${name} $<TARGET_NAME_IF_EXISTS:ds_sim>)
  endif()
endfunction()

function(ds_test name)
  cmake_parse_arguments(TEST "" "LABEL" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_LINK} datashard_test_main)
  target_precompile_headers(${name} REUSE_FROM datashard_test_main)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${TEST_LABEL}" TIMEOUT 300)
endfunction()

# ds_flatbuffers(<room> <schema>): x.fbs of the room becomes the header "x_generated.h" in the build tree, for this room only.
function(ds_flatbuffers name schema)
  get_filename_component(stem ${schema} NAME_WE)
  set(directory ${PROJECT_BINARY_DIR}/generated/${name})
  add_custom_command(OUTPUT ${directory}/${stem}_generated.h
    COMMAND ${DATASHARD_FLATC} --cpp --scoped-enums -o ${directory} ${PROJECT_SOURCE_DIR}/src/${name}/${schema}
    DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/${schema} VERBATIM)
  target_sources(ds_${name} PRIVATE ${directory}/${stem}_generated.h)
  target_include_directories(ds_${name} SYSTEM PRIVATE ${directory})
  if(TARGET ${name}_test)
    target_include_directories(${name}_test SYSTEM PRIVATE ${directory})
  endif()
endfunction()
