// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.vmemmap.machine.TestOwner.DATA;
import static org.vmemmap.machine.TestOwner.FREE;
import static org.vmemmap.machine.TestOwner.NOBODY;
import static org.vmemmap.machine.TestOwner.TABLE;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** The book of frames. */
class LedgerTest {
  private static final long FRAMES = 2000;

  private final Ledger ledger = new Ledger(TestOwner.values(), FRAMES);

  /** A fresh book. Expect every frame with the first owner. */
  @Test
  void newLedger_allFrames_belongToTheFirstOwner() {
    assertEquals(NOBODY, ledger.ownerOf(0));
    assertEquals(NOBODY, ledger.ownerOf(FRAMES - 1));
    assertEquals(FRAMES, ledger.count(NOBODY));
    assertEquals(FRAMES, ledger.sameOwnerUntil(0, FRAMES));
    assertEquals(FRAMES, ledger.frames());
    assertArrayEquals(TestOwner.values(), ledger.owners());
  }

  /**
   * A run that begins and ends inside blocks of 512 and covers one.
   *
   * <pre>
   *   0        500                        1100        2000
   *   | NOBODY  | FREE                     | NOBODY    |
   * </pre>
   */
  @Test
  void transfer_runOverBlocks_movesExactlyTheRun() {
    ledger.transfer(500, 600, NOBODY, FREE);

    assertEquals(NOBODY, ledger.ownerOf(499));
    assertEquals(FREE, ledger.ownerOf(500));
    assertEquals(FREE, ledger.ownerOf(1099));
    assertEquals(NOBODY, ledger.ownerOf(1100));
    assertEquals(600, ledger.count(FREE));
    assertEquals(FRAMES - 600, ledger.count(NOBODY));
    assertEquals(500, ledger.sameOwnerUntil(0, FRAMES));
    assertEquals(1100, ledger.sameOwnerUntil(500, FRAMES));
    assertEquals(900, ledger.sameOwnerUntil(500, 900));
    assertEquals(FRAMES, ledger.sameOwnerUntil(1100, FRAMES));
  }

  /** One frame taken out of a run and given back. Expect the run to be one again. */
  @Test
  void transfer_oneFrameThereAndBack_restoresTheRun() {
    ledger.transfer(0, 1024, NOBODY, FREE);

    ledger.transfer(700, 1, FREE, TABLE);
    assertEquals(700, ledger.sameOwnerUntil(0, FRAMES));
    assertEquals(1, ledger.count(TABLE));

    ledger.transfer(700, 1, TABLE, FREE);
    assertEquals(1024, ledger.sameOwnerUntil(0, FRAMES));
    assertEquals(1024, ledger.count(FREE));
    assertEquals(0, ledger.count(TABLE));
  }

  /** A frame taken twice. Expect a fault that names frame and owners, and nothing moved. */
  @Test
  void transfer_takenTwice_faultsAndMovesNothing() {
    ledger.transfer(10, 10, NOBODY, DATA);

    assertFault(
        "frame-owner frame=0xa is=DATA from=NOBODY to=TABLE",
        () -> ledger.transfer(5, 10, NOBODY, TABLE));
    assertEquals(NOBODY, ledger.ownerOf(5));
    assertEquals(0, ledger.count(TABLE));
    assertEquals(10, ledger.count(DATA));
  }

  /** A frame given back twice. Expect the second to fault. */
  @Test
  void transfer_givenBackTwice_faults() {
    ledger.transfer(600, 1, NOBODY, DATA);
    ledger.transfer(600, 1, DATA, FREE);

    assertFault(
        "frame-owner frame=0x258 is=FREE from=DATA to=FREE",
        () -> ledger.transfer(600, 1, DATA, FREE));
  }

  /** Runs that leave the machine, also inside the last block. Expect a fault, nothing moved. */
  @Test
  void transfer_beyondTheEnd_faultsAndMovesNothing() {
    assertFault(
        "no-such-frame frame=0x7bc n=0x15", () -> ledger.transfer(1980, 21, NOBODY, FREE));
    assertFault("no-such-frame frame=0xfff n=0x1", () -> ledger.transfer(4095, 1, NOBODY, FREE));
    assertFault(
        "no-such-frame frame=0x0 n=0xffffffffffffffff", () -> ledger.transfer(0, -1, NOBODY, FREE));
    assertFault("no-such-frame frame=0x7d0", () -> ledger.ownerOf(FRAMES));
    assertEquals(FRAMES, ledger.count(NOBODY));
  }

  /** A run of no frames. Expect nothing. */
  @Test
  void transfer_nothing_changesNothing() {
    ledger.transfer(FRAMES, 0, NOBODY, FREE);

    assertEquals(FRAMES, ledger.count(NOBODY));
  }

  private static void assertFault(String message, Executable move) {
    assertEquals(message, assertThrows(MachineFault.class, move).getMessage());
  }
}
