// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

/** The value of --dax. */
class DaxOptionTest {
  private static String refused(String text) {
    return String.valueOf(assertThrows(BadInput.class, () -> DaxOption.parse(text)).getMessage());
  }

  /** What is left out has its default; a memmap in the device means persistent memory. */
  @Test
  void parse_sizeAlone_takesTheDefaults() {
    // Expect 2 MiB pages, memmap in RAM, soft-reserved memory, node 0.
    assertEquals(new DaxOption(2L << 30, 2L << 20, false, false, 0), DaxOption.parse("size=2G"));
    assertEquals(
        new DaxOption(1L << 30, 1L << 30, true, true, 1),
        DaxOption.parse("size=1G,align=1G,map=dev,node=1"));
  }

  /** What does not fit is told with the key and what would. */
  @Test
  void parse_badValues_areNamed() {
    // Expect one line for each.
    String wanted = "wanted size=SIZE[,align=4K|2M|1G][,map=mem|dev][,kind=hmem|pmem][,node=N]";
    assertEquals("--dax align=2M: no size, " + wanted, refused("align=2M"));
    assertEquals("--dax colour=red: " + wanted, refused("size=1G,colour=red"));
    assertEquals("--dax align=8K: wanted 4K, 2M or 1G", refused("size=1G,align=8K"));
    assertEquals("--dax size=3M,align=2M: the size is not a multiple of align", refused("size=3M"));
    assertEquals("--dax map=disk: wanted mem or dev", refused("size=1G,map=disk"));
    assertEquals(
        "--dax map=dev,kind=hmem: soft-reserved memory keeps no memmap,"
            + " wanted kind=pmem or map=mem",
        refused("size=1G,map=dev,kind=hmem"));
    assertEquals("--dax node -1: wanted a number from 0 to 1023", refused("size=1G,node=-1"));
  }
}
