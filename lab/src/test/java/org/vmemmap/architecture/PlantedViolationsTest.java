// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.lang.ArchRule;
import org.junit.jupiter.api.Test;

/**
 * The rules, on classes planted to break them. Each report is expected word for word, so a rule that
 * finds more or less than it should fails here. {@code ~} stands for the package of the planted.
 */
class PlantedViolationsTest {
  private static final String ROOT = "org.vmemmap.architecture.planted";
  private static final Rules RULES = new Rules(ROOT);
  private static final JavaClasses CLASSES = Imported.planted();

  /** Upward, sideways and stray classes. Expect each, and none of the well placed. */
  @Test
  void layers_planted_areReported() {
    assertReport(
        RULES.layers(),
        """
        Class <~.stray.Stray> is not contained in architecture
        Method <~.arch.arm64.TalksToX86.paging()> calls constructor <~.arch.x86.Paging.<init>()>\
         in (TalksToX86.java:9)
        Method <~.arch.arm64.TalksToX86.paging()> has return type <~.arch.x86.Paging>\
         in (TalksToX86.java:0)
        Method <~.dax.TalksToX86.paging()> calls constructor <~.arch.x86.Paging.<init>()>\
         in (TalksToX86.java:9)
        Method <~.dax.TalksToX86.paging()> has return type <~.arch.x86.Paging>\
         in (TalksToX86.java:0)
        Method <~.hugetlb.TalksToDax.device()> calls constructor <~.dax.Device.<init>()>\
         in (TalksToDax.java:9)
        Method <~.hugetlb.TalksToDax.device()> has return type <~.dax.Device>\
         in (TalksToDax.java:0)
        Method <~.machine.LooksUp.thing()> calls constructor <~.types.Thing.<init>()>\
         in (LooksUp.java:9)
        Method <~.machine.LooksUp.thing()> has return type <~.types.Thing> in (LooksUp.java:0)\
        """);
  }

  /** Generic classes named after a CPU. Expect two, not those of the architectures. */
  @Test
  void noCpuNames_planted_areReported() {
    String pattern =
        "'org\\.vmemmap\\.architecture\\.planted(?i).*(x86|amd64|arm64|aarch64|powerpc|ppc).*'";
    assertReport(
        RULES.noCpuNames(),
        """
        Class <~.dax.TalksToX86> has name matching PATTERN in (TalksToX86.java:0)
        Class <~.types.NamesX86Cpu> has name matching PATTERN in (NamesX86Cpu.java:0)\
        """
            .replace("PATTERN", pattern));
  }

  /** A VarHandle outside the machine. */
  @Test
  void memoryOrder_planted_isReported() {
    assertReport(
        RULES.memoryOrderInMachineOnly(),
        "Method <~.pagealloc.UsesVarHandle.order()> calls method"
            + " <java.lang.invoke.VarHandle.fullFence()> in (UsesVarHandle.java:9)");
  }

  /** Reflection, and a method handle. */
  @Test
  void noReflection_planted_isReported() {
    assertReport(
        RULES.noReflection(),
        """
        Method <~.dax.Reflects.arguments(java.lang.invoke.MethodHandle)> calls method\
         <java.lang.invoke.MethodHandle.type()> in (Reflects.java:14)
        Method <~.dax.Reflects.arguments(java.lang.invoke.MethodHandle)> has parameter of type\
         <java.lang.invoke.MethodHandle> in (Reflects.java:0)
        Method <~.dax.Reflects.count(java.lang.reflect.Method)> calls method\
         <java.lang.reflect.Method.getParameterCount()> in (Reflects.java:10)
        Method <~.dax.Reflects.count(java.lang.reflect.Method)> has parameter of type\
         <java.lang.reflect.Method> in (Reflects.java:0)\
        """);
  }

  /** A port that prints. Expect it, not the command line that prints too. */
  @Test
  void noPrinting_planted_isReported() {
    assertReport(
        RULES.noPrinting(),
        "Method <~.sparse.Prints.print()> gets field <java.lang.System.out> in (Prints.java:7)");
  }

  /** A static field that changes. Expect it, not the constants. */
  @Test
  void noStaticState_planted_isReported() {
    assertReport(
        RULES.noStaticState(),
        "Field <~.sparse.KeepsState.count> does not have modifier FINAL in (KeepsState.java:0)");
  }

  /** Two cycles: one inside the lab, one between machine and types. */
  @Test
  void noCycles_planted_areReported() {
    assertReport(
        RULES.noCycles(),
        """
        Cycle detected: Slice lab ->\s
                        Slice lab.cli ->\s
                        Slice lab
          1. Dependencies of Slice lab
            - Method <~.lab.Bench.screen()> has return type <~.lab.cli.Screen> in (Bench.java:0)
            - Method <~.lab.Bench.screen()> calls constructor <~.lab.cli.Screen.<init>()>\
         in (Bench.java:9)
          2. Dependencies of Slice lab.cli
            - Method <~.lab.cli.Screen.print(~.lab.Bench)> has parameter of type <~.lab.Bench>\
         in (Screen.java:0)
        Cycle detected: Slice machine ->\s
                        Slice types ->\s
                        Slice machine
          1. Dependencies of Slice machine
            - Method <~.machine.LooksUp.thing()> has return type <~.types.Thing>\
         in (LooksUp.java:0)
            - Method <~.machine.LooksUp.thing()> calls constructor <~.types.Thing.<init>()>\
         in (LooksUp.java:9)
          2. Dependencies of Slice types
            - Method <~.types.Thing.frame()> has return type <~.machine.Frame>\
         in (Thing.java:0)
            - Method <~.types.Thing.frame()> calls constructor <~.machine.Frame.<init>()>\
         in (Thing.java:10)\
        """);
  }

  private static void assertReport(ArchRule rule, String expected) {
    String report = String.join("\n", rule.evaluate(CLASSES).getFailureReport().getDetails());
    assertEquals(expected, report.replace(ROOT, "~"));
  }
}
