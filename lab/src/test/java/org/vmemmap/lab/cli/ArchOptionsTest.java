// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code vmemmap boot --arch}: each kernel boots with what it has by default. */
class ArchOptionsTest {
  private static final String NO_VIOLATIONS = " rules, 0 violations";

  /**
   * A machine of 1 GiB on each kernel. Expect its heading, memmap counters, no violation, exit 0.
   */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --arch arm64                                  | arm64 4K pages, 52-bit VA 5-level        | 4096
          --arch arm64 --va-bits 48                     | arm64 4K pages, 48-bit VA 4-level        | 4096
          --arch arm64 --va-bits 39                     | arm64 4K pages, 39-bit VA 3-level        | 4096
          --arch arm64 --page-size 16K                  | arm64 16K pages, 52-bit VA 4-level       | 256
          --arch arm64 --page-size 16K --va-bits 47     | arm64 16K pages, 47-bit VA 3-level       | 256
          --arch arm64 --page-size 64K                  | arm64 64K pages, 52-bit VA 3-level       | 16
          --arch arm64 --page-size 64K --va-bits 42     | arm64 64K pages, 42-bit VA 2-level       | 16
          --arch powerpc                                | powerpc 4K pages, radix 4-level          | 4096
          --arch powerpc --page-size 64K                | powerpc 64K pages, radix 4-level         | 64
          --arch powerpc --mmu hash                     | powerpc 4K pages, hash with 16M blocks   | 4096
          --arch powerpc --page-size 64K --mmu hash     | powerpc 64K pages, hash with 16M blocks  | 64
          """)
  void boot_eachKernel_reportsItsMemmap(String options, String heading, long bootPages) {
    List<String> args = new java.util.ArrayList<>(List.of("boot", "--mem", "1G", "--nodes", "1"));
    args.addAll(List.of(options.split(" ")));

    Run run = Run.of(args.toArray(String[]::new));

    assertTrue(run.out().startsWith("Machine   " + heading + ", 1 GiB RAM on 1 node"), run.out());
    assertTrue(run.out().contains("nr_memmap_boot_pages  " + bootPages + "\n"), run.out());
    assertTrue(run.out().stripTrailing().endsWith(NO_VIOLATIONS), run.out());
    assertEquals(Main.OK, run.code());
  }

  /**
   * All kernels beside each other. Expect that the two widths of arm64 with 4K pages, which come to
   * the same numbers, stand above one line of them, and that all twelve kernels are there.
   */
  @Test
  void boot_all_groupsIdenticalResults() {
    Run run = Run.of("boot", "--arch", "all", "--mem", "1G", "--nodes", "1");

    List<String> lines = run.out().lines().toList();
    int wide = lines.indexOf("  arm64 4K pages, 52-bit VA 5-level");
    assertTrue(wide > 0, run.out());
    assertEquals("  arm64 4K pages, 48-bit VA 4-level", lines.get(wide + 1), run.out());
    assertTrue(lines.get(wide + 2).startsWith("  powerpc 4K pages, radix 4-level  "), run.out());
    assertEquals(1 + 12 + 2, lines.size(), run.out());
    assertTrue(lines.getLast().endsWith(" checks, 0 violations"), run.out());
    assertEquals(Main.OK, run.code());
  }
}
