// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.lang.ArchRule;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.machine.PhysicalMemory;

/** The rule of this module: struct pages and lists are reached through the MMU, never around it. */
class ArchitectureTest {
  private static final String MAIN =
      Mm.class.getProtectionDomain().getCodeSource().getLocation().toString();
  private static final ArchRule THROUGH_THE_MMU =
      noClasses()
          .that()
          .doNotHaveSimpleName("Pgtable")
          .should()
          .accessClassesThat()
          .belongToAnyOf(PhysicalMemory.class);

  /** The module itself; only Pgtable may. Expect no violation, of classes that are there. */
  @Test
  void types_useVirtualAddresses() {
    JavaClasses classes =
        new ClassFileImporter()
            .withImportOption(location -> location.asURI().toString().startsWith(MAIN))
            .importPackages("org.vmemmap.types");

    assertTrue(classes.contain(Pgtable.class) && classes.contain(StructPage.class));
    assertEquals(List.of(), THROUGH_THE_MMU.evaluate(classes).getFailureReport().getDetails());
  }

  /** A class planted to break the rule. Expect what it does, and no more. */
  @Test
  void planted_isReported() {
    JavaClasses classes = new ClassFileImporter().importPackages("org.vmemmap.types.planted");

    assertEquals(
        List.of(
            "Method <org.vmemmap.types.planted.BypassesTheMmu.peek(org.vmemmap.machine.Machine)>"
                + " calls method <org.vmemmap.machine.PhysicalMemory.getLong(long)>"
                + " in (BypassesTheMmu.java:9)"),
        THROUGH_THE_MMU.evaluate(classes).getFailureReport().getDetails());
  }
}
