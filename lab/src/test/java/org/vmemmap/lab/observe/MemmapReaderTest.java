// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** Struct pages as a debugger outside the machine reads them. */
class MemmapReaderTest {
  private static final long PFN = 515;
  private static final long FRAME = 0x300;
  private static final int SLOT = (int) PFN % 64;

  private final SmallMachine machine = new SmallMachine();
  private final MemmapReader reader = new MemmapReader(machine.mm());

  /** A word that was written at its physical address is read through the memmap. */
  @Test
  void word_mappedPage_isReadThroughTheTables() {
    machine.mapPage(8, FRAME, SmallMachine.RW);
    machine.word(PFN, 5, 0x18);

    assertEquals(0x18, reader.word(PFN, 5));
    assertEquals(FRAME, reader.frame(PFN));
    assertEquals(0x18, reader.wordsInFrame(FRAME, SLOT)[5]);
  }

  /** Two memmap pages map one frame. Expect the same struct pages at both. */
  @Test
  void word_sharedFrame_isTheSameThroughBothPages() {
    machine.mapPage(8, FRAME, SmallMachine.RW);
    machine.mapPage(9, FRAME, SmallMachine.RO);
    machine.word(PFN, 1, 0xffffffffffff8001L);

    assertEquals(0xffffffffffff8001L, reader.word(PFN + 64, 1));
  }

  /** Nothing is mapped. Expect no frame, and no fault. */
  @Test
  void mapped_nothingThere_isFalse() {
    assertFalse(reader.mapped(PFN));
    assertEquals(-1, reader.frame(PFN));
  }

  /** A page is mapped after a look. Expect to see it once the old look is forgotten. */
  @Test
  void forget_afterAChange_looksAgain() {
    assertFalse(reader.mapped(PFN));
    machine.mapPage(8, FRAME, SmallMachine.RW);

    reader.forget();

    assertTrue(reader.mapped(PFN));
  }
}
