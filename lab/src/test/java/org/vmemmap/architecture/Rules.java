// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noFields;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.GeneralCodingRules.ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.library.Architectures.LayeredArchitecture;
import java.util.ArrayList;
import java.util.List;

/**
 * What may depend on what.
 *
 * <pre>
 *   machine &lt;- types &lt;- pagealloc &lt;- sparse &lt;- hugetlb | dax | arch.x86 | arch.arm64 | arch.powerpc &lt;- lab
 * </pre>
 *
 * Every rule is made for a root package, so that it can be run on the product and, to prove that it
 * finds something, on classes planted to break it.
 *
 * @param root the package that holds the layers
 */
record Rules(String root) {
  /** Packages from the bottom up, without the root. Each sees those before it in the first group. */
  static final List<String> TOWER = List.of("machine", "types", "pagealloc", "sparse");

  /** Packages that see the tower and never each other. */
  static final List<String> NEIGHBOURS =
      List.of("hugetlb", "dax", "arch.x86", "arch.arm64", "arch.powerpc");

  /** Packages that must not name a CPU. */
  static final List<String> GENERIC =
      List.of("machine", "types", "pagealloc", "sparse", "hugetlb", "dax");

  private static final String CPU = "(?i).*(x86|amd64|arm64|aarch64|powerpc|ppc).*";

  List<ArchRule> all() {
    return List.of(
        layers(), noCpuNames(), memoryOrderInMachineOnly(), noReflection(), noPrinting(),
        noStaticState(), noCycles());
  }

  /** Dependencies point down only, and every class lies in a layer. */
  ArchRule layers() {
    LayeredArchitecture layers =
        layeredArchitecture().consideringOnlyDependenciesInAnyPackage(root + "..");
    for (String layer : layerNames()) {
      layers = layers.layer(layer).definedBy(root + "." + layer + "..");
    }
    layers = layers.whereLayer("machine").mayNotAccessAnyLayer();
    for (int i = 1; i < TOWER.size(); i++) {
      String[] below = TOWER.subList(0, i).toArray(String[]::new);
      layers = layers.whereLayer(TOWER.get(i)).mayOnlyAccessLayers(below);
    }
    for (String neighbour : NEIGHBOURS) {
      layers = layers.whereLayer(neighbour).mayOnlyAccessLayers(TOWER.toArray(String[]::new));
    }
    return layers.ensureAllClassesAreContainedInArchitecture().as("layers");
  }

  /** All layers, bottom first. */
  static List<String> layerNames() {
    List<String> names = new ArrayList<>(TOWER);
    names.addAll(NEIGHBOURS);
    names.add("lab");
    return names;
  }

  /** Generic classes are not named after a CPU. */
  ArchRule noCpuNames() {
    return noClasses().that(resideInAnyPackage(packages(GENERIC))).should().haveNameMatching(
            root.replace(".", "\\.") + CPU)
        .as("generic classes name no CPU");
  }

  /** Atomic access to memory is the machine's business. */
  ArchRule memoryOrderInMachineOnly() {
    return noClasses().that().resideOutsideOfPackage(root + ".machine..").should()
        .dependOnClassesThat().haveNameMatching("java\\.lang\\.invoke\\.VarHandle.*")
        .orShould().dependOnClassesThat().resideInAnyPackage("sun..", "jdk.internal..")
        .as("VarHandle and Unsafe stay in the machine");
  }

  /**
   * No reflection but in the fork of a kernel: it copies all fields of all objects, and a list of
   * them by hand would forget one some day. And where a report asks for the tag of a method that
   * runs. A method handle is reflection, too.
   */
  ArchRule noReflection() {
    String allowed =
        (root + ".lab.check.").replace(".", "[.]") + "(Fork|Fields|KernelFunction)([$].*)?";
    return noClasses().that().haveNameNotMatching(allowed).should()
        .dependOnClassesThat().resideInAPackage("java.lang.reflect..")
        .orShould().dependOnClassesThat()
        .haveNameMatching("java[.]lang[.]invoke[.]MethodHandle(s[$]Lookup)?")
        .as("no reflection but in lab.check.Fork, its Fields, and KernelFunction");
  }

  /** Only the command line writes to the terminal. */
  ArchRule noPrinting() {
    return noClasses().that().resideOutsideOfPackage(root + ".lab.cli..").should(
            ACCESS_STANDARD_STREAMS)
        .as("only lab.cli prints");
  }

  /** Two kernels can live in one JVM. */
  ArchRule noStaticState() {
    return noFields().that().areDeclaredInClassesThat().resideInAPackage(root + "..").and()
        .areStatic().should().notBeFinal().as("no static field can change");
  }

  /** Packages are free of cycles. */
  ArchRule noCycles() {
    return slices().matching(root + ".(**)").should().beFreeOfCycles().as("no package cycles");
  }

  private String[] packages(List<String> layers) {
    return layers.stream().map(layer -> root + "." + layer + "..").toArray(String[]::new);
  }
}
