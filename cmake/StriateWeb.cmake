# The page of `striate look report`, made from web/ when Node.js and web/node_modules are there
# (tools/setup.sh). Sets STRIATE_PAGE to the page's path, or to "": the program is then built without.

set(STRIATE_PAGE "")
set(web "${PROJECT_SOURCE_DIR}/web")
find_program(NODE_PROGRAM node)
if(NODE_PROGRAM AND EXISTS "${web}/node_modules/esbuild/package.json")
  set(STRIATE_PAGE "${PROJECT_BINARY_DIR}/web/page.html")
  # The bundler tells which sources the page is made of.
  add_custom_command(
    OUTPUT "${STRIATE_PAGE}"
    COMMAND ${NODE_PROGRAM} build.mjs --out "${STRIATE_PAGE}" --depfile "${STRIATE_PAGE}.d"
    WORKING_DIRECTORY "${web}"
    DEPENDS "${web}/build.mjs" "${web}/package-lock.json"
    DEPFILE "${STRIATE_PAGE}.d"
    COMMENT "Bundling the page of striate look report"
    VERBATIM)
else()
  message(STATUS "Without Node.js or web/node_modules the program has no page for `striate look report`")
endif()
