// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Kernel command lines. */
class CmdlineTest {
  /** Blanks inside double quotes belong to a word; what follows -- is not the kernel's. */
  @Test
  void words_quotesAndDashes_areReadAsTheKernelReadsThem() {
    // Expect three words, the quotes gone and the rest dropped.
    assertEquals(
        List.of("quiet", "dyndbg=file a.c +p", "hugepages=4"),
        Cmdline.words(" quiet  dyndbg=\"file a.c +p\" hugepages=4 -- --init x=1"));
  }

  /** A parameter's name ends at its first equals sign; - and _ are the same in names. */
  @Test
  void params_namesAndValues_areSplitAtTheFirstEqualsSign() {
    List<Cmdline.Param> params = Cmdline.params(List.of("numa=fake=2", "quiet", "hugetlb-cma=1G"));
    // Expect the value to hold the second sign, no value for a lone word.
    assertEquals("fake=2", params.get(0).value());
    assertNull(params.get(1).value());
    assertTrue(params.get(2).is("hugetlb_cma"));
    assertFalse(params.get(2).is("hugetlb"));
  }
}
