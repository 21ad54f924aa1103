// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.lang.ArchRule;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The rule of this module: simulated hardware knows no kernel, and little of Java. */
class ArchitectureTest {
  private static final String MAIN =
      Machine.class.getProtectionDomain().getCodeSource().getLocation().toString();
  private static final ArchRule ALONE =
      classes()
          .should()
          .onlyDependOnClassesThat()
          .resideInAnyPackage(
              "org.vmemmap.machine", "java.lang", "java.lang.invoke", "java.util..",
              "org.jspecify.annotations");

  /** The module itself. Expect no violation, of classes that are there. */
  @Test
  void machine_dependsOnNothing() {
    JavaClasses classes =
        new ClassFileImporter()
            .withImportOption(location -> location.asURI().toString().startsWith(MAIN))
            .importPackages("org.vmemmap.machine");

    assertTrue(classes.contain(Machine.class) && classes.contain(PhysicalMemory.class));
    assertEquals(List.of(), ALONE.evaluate(classes).getFailureReport().getDetails());
  }

  /** A class planted to break the rule. Expect what it does, and no more. */
  @Test
  void planted_isReported() {
    JavaClasses classes = new ClassFileImporter().importPackages("org.vmemmap.machine.planted");
    String planted = "Method <org.vmemmap.machine.planted.KnowsAKernel.kernel()> ";

    assertEquals(
        List.of(
            planted + "calls method <java.net.URI.create(java.lang.String)> in (KnowsAKernel.java:9)",
            planted + "has return type <java.net.URI> in (KnowsAKernel.java:0)"),
        ALONE.evaluate(classes).getFailureReport().getDetails());
  }
}
