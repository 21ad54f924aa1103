// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;

/** Classes as the rules see them. */
final class Imported {
  private static final String TESTS =
      Imported.class.getProtectionDomain().getCodeSource().getLocation().toString();

  private Imported() {}

  /** All classes of all modules, without tests. */
  static JavaClasses product() {
    return new ClassFileImporter()
        .withImportOption(location -> !location.asURI().toString().startsWith(TESTS))
        .importPackages("org.vmemmap");
  }

  /** Classes planted to break the rules. */
  static JavaClasses planted() {
    return new ClassFileImporter().importPackages("org.vmemmap.architecture.planted");
  }
}
