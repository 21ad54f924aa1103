// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** Texts side by side. */
class LineDiffTest {
  /** A line changed, one gone and one new. Expect these lines, and the equal ones counted. */
  @Test
  void of_differentTexts_showsWhatDiffers() {
    String diff = LineDiff.of("level 0", "a\nb\nc\nd\ne\n", "level 1", "a\nB\nc\ne\nf\n");
    assertEquals(
        """
        --- level 0
        +++ level 1
          1 equal line
        -b
        +B
          1 equal line
        -d
          1 equal line
        +f
        """,
        diff);
  }

  /** Equal texts, and an empty one beside one line. Expect a count, and the line. */
  @Test
  void of_equalOrEmptyTexts_hasNothingElse() {
    assertEquals("--- a\n+++ b\n  2 equal lines\n", LineDiff.of("a", "1\n2\n", "b", "1\n2\n"));
    assertEquals("--- a\n+++ b\n+1\n", LineDiff.of("a", "", "b", "1\n"));
  }
}
