// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** The table of frames and how often each is mapped. */
class FrameCountsTest {
  /** Counts of a frame add up; frames that were never added have none. */
  @Test
  void add_sameFrameTwice_addsUp() {
    FrameCounts counts = new FrameCounts();
    counts.add(7, 3, 1);
    counts.add(7, 4, 0);

    assertEquals(7, counts.maps(7));
    assertEquals(0, counts.maps(8));
    assertEquals(1, counts.distinct());
  }

  /** The table grows. Expect that every frame keeps its count. */
  @Test
  void add_manyFrames_keepsAll() {
    int frames = 100_000;
    FrameCounts counts = new FrameCounts();
    for (int i = 0; i < frames; i++) {
      counts.add(i * 512L, i, 0);
    }

    assertEquals(frames, counts.distinct());
    assertEquals(99_999, counts.maps(99_999 * 512L));
    assertEquals(512, counts.maps(512 * 512L));
  }
}
