# `cmake --install`: the program, the library with its headers, and a package for find_package.

include(CMakePackageConfigHelpers)

# What a consumer links: every room of the library.
add_library(striate_all INTERFACE)
add_library(striate::striate ALIAS striate_all)
set_target_properties(striate_all PROPERTIES EXPORT_NAME striate)
set(rooms base kernels graph models image runtime data training sequence detection visualization report)
foreach(room IN LISTS rooms)
  target_link_libraries(striate_all INTERFACE striate_${room})
  list(APPEND room_targets striate_${room})
endforeach()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/striate)
install(TARGETS striate_all ${room_targets} EXPORT striate
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT striate NAMESPACE striate:: DESTINATION ${package_dir} FILE striateTargets.cmake)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/striate DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/cmake/FindLibTorch.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindLiblinear.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindStemmer.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindUtf8proc.cmake
              ${PROJECT_SOURCE_DIR}/cmake/StriatePlainLibrary.cmake DESTINATION ${package_dir})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/striateConfig.cmake.in
  ${PROJECT_BINARY_DIR}/striateConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/striateConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/striateConfig.cmake
              ${PROJECT_BINARY_DIR}/striateConfigVersion.cmake DESTINATION ${package_dir})

# The installed program finds LibTorch where the build found it.
set_target_properties(striate PROPERTIES INSTALL_RPATH "${LibTorch_ROOT_DIR}/lib")
install(TARGETS striate RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
