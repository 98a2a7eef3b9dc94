# What `cmake --install` puts where, and the Debian package that `tools/package` makes of it with CPack.
include(GNUInstallDirs)
set(VERANDA_PACKAGE_CONTACT "The Veranda authors <root@localhost>" CACHE STRING "Who answers for a package that is made here: Name <address>")
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON) # what was built is installed; tests need not be

install(TARGETS verandad veranda RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# Manual pages, completion and documents are made of the programs as they are then.
install(CODE "execute_process(COMMAND \"${PROJECT_SOURCE_DIR}/tools/package-files\" \"${PROJECT_BINARY_DIR}\" \"${PROJECT_BINARY_DIR}/package-files\" \"${VERANDA_PACKAGE_CONTACT}\" COMMAND_ERROR_IS_FATAL ANY)")
install(DIRECTORY ${PROJECT_BINARY_DIR}/package-files/ DESTINATION ${CMAKE_INSTALL_DATADIR})
install(FILES config/systemd/verandad.service DESTINATION /lib/systemd/system)
install(FILES config/debian/sysusers.conf DESTINATION lib/sysusers.d RENAME veranda.conf)
install(FILES config/debian/veranda.yaml DESTINATION /etc/veranda)
install(DIRECTORY DESTINATION /etc/veranda/manifests DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE)

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_CONTACT "${VERANDA_PACKAGE_CONTACT}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "cache of KRM package revisions in step with git repositories")
set(CPACK_PACKAGE_DESCRIPTION "Veranda follows the Repository objects of Porch, kpt and Nephio, in
manifests or in a Kubernetes cluster, finds every draft, proposed and
published package revision in the git repositories that they name, keeps
them in SQLite, and says on each object how it went and when it looks again.
.
This package has the daemon verandad with a unit for systemd, which is not
enabled, and the command line veranda.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "ca-certificates, tzdata, systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "git, openssh-client") # for remotes on this machine, and over ssh
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(part conffiles postinst prerm postrm)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/config/debian/${part})
endforeach()
include(CPack)
