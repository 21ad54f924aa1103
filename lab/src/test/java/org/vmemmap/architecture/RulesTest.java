// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.lang.ArchRule;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The rules, on the product. */
class RulesTest {
  private static final Rules RULES = new Rules("org.vmemmap");
  private static final JavaClasses CLASSES = Imported.product();

  static Stream<ArchRule> rules() {
    return RULES.all().stream();
  }

  static Stream<String> layers() {
    return Rules.layerNames().stream();
  }

  /** Each rule on all modules. Expect no violation. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("rules")
  void rule_product_isKept(ArchRule rule) {
    assertEquals(List.of(), rule.evaluate(CLASSES).getFailureReport().getDetails());
  }

  /** A rule on nothing is no rule. Expect classes in every layer. */
  @ParameterizedTest
  @MethodSource("layers")
  void layer_product_hasClasses(String layer) {
    String name = "org.vmemmap." + layer;
    boolean found =
        CLASSES.stream().anyMatch(c -> (c.getPackageName() + ".").startsWith(name + "."));
    assertTrue(found, name);
  }
}
