// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.report.MemmapSnapshot.Mapping;

/** Pictures of memmaps. */
class MemmapPictureTest {
  /** Four pages of a block before, one own and one shared frame after. */
  @Test
  void draw_optimisedMemmap_showsTheSharedFrameOnce() {
    List<Mapping> before = new ArrayList<>();
    List<Mapping> after = new ArrayList<>();
    for (int page = 0; page < 4; page++) {
      before.add(new Mapping(1, 0x1000 + page, true));
      after.add(page == 0 ? new Mapping(0, 0x2000, true) : new Mapping(0, 0x3000, false));
    }
    // Expect four frames on the left; on the right three lines that end at one frame.
    assertEquals(
        """
          before                              after
          struct pages     page frame         struct pages     page frame
          +-----------+     +----------+      +-----------+     +----------+
          |     0     | --->|  0x1000  | rw   |     0     | --->|  0x2000  | rw
          +-----------+     +----------+      +-----------+     +----------+
          |     1     | --->|  0x1001  | rw   |     1     | -+
          +-----------+     +----------+      +-----------+  |
          |     2     | --->|  0x1002  | rw   |     2     | -+
          +-----------+     +----------+      +-----------+  |  +----------+
          |     3     | --->|  0x1003  | rw   |     3     | -+->|  0x3000  | ro
          +-----------+     +----------+      +-----------+     +----------+
        """,
        new MemmapPicture(4).draw(before, after));
  }

  /** Of a long memmap the first four and the last two pages are drawn. */
  @Test
  void rows_longMemmap_leavesOutTheMiddle() {
    // Expect -1 where pages are left out.
    assertEquals(List.of(0, 1, 2, 3, -1, 4094, 4095), new MemmapPicture(4096).rows());
  }
}
