// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.vmemmap.machine.Faults.assertFault;
import static org.vmemmap.machine.TestOwner.DATA;
import static org.vmemmap.machine.TestOwner.FREE;
import static org.vmemmap.machine.TestOwner.NOBODY;
import static org.vmemmap.machine.TestOwner.TABLE;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

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

  /** Books whose last block or part is begun with one frame, or just full. Expect the last to move. */
  @ParameterizedTest
  @ValueSource(longs = {1, 511, 512, 513, 1L << 21, (1L << 21) + 1})
  void transfer_lastFrame_moves(long frames) {
    Ledger other = new Ledger(TestOwner.values(), frames);

    other.transfer(frames - 1, 1, NOBODY, DATA);

    assertEquals(DATA, other.ownerOf(frames - 1));
    assertEquals(frames - 1, other.count(NOBODY));
    assertFault(
        "no-such-frame frame=0x" + Long.toHexString(frames), () -> other.ownerOf(frames));
  }

  /** Blocks of two parts of the book, whole and split. Expect each to keep its own owners. */
  @Test
  void transfer_sameBlockOfTwoParts_isApart() {
    long part = 1L << 21;
    Ledger large = new Ledger(TestOwner.values(), 2 * part);
    large.transfer(512, 512, NOBODY, FREE);
    large.transfer(part + 1024, 1, NOBODY, DATA);

    assertEquals(NOBODY, large.ownerOf(part + 512));
    assertEquals(NOBODY, large.ownerOf(1024));
    assertEquals(FREE, large.ownerOf(1023));
    assertEquals(DATA, large.ownerOf(part + 1024));
    assertEquals(part + 1024, large.sameOwnerUntil(1024, 2 * part));
    assertEquals(2 * part, large.sameOwnerUntil(part + 1025, 2 * part));
  }

  /** A block of two owners comes together and moves as a whole. Expect its parts to be forgotten. */
  @Test
  void transfer_wholeBlockThatWasSplit_movesAllOfIt() {
    ledger.transfer(512, 100, NOBODY, FREE);
    ledger.transfer(512, 100, FREE, NOBODY);

    ledger.transfer(512, 512, NOBODY, DATA);

    assertEquals(DATA, ledger.ownerOf(512));
    assertEquals(1024, ledger.sameOwnerUntil(512, FRAMES));
  }

  /** Somebody watches. Expect to be told of each transfer before it, and of none that is refused. */
  @Test
  void watch_transfers_areToldBefore() {
    List<String> heard = new ArrayList<>();
    ledger.watch(
        (frame, n, from, to) ->
            heard.add(frame + "+" + n + " " + from.name() + " " + to.name() + " " + ledger.ownerOf(frame)));
    ledger.transfer(3, 4, NOBODY, DATA);
    assertThrows(MachineFault.class, () -> ledger.transfer(3, 5, DATA, FREE));
    ledger.watch(null);
    ledger.transfer(3, 4, DATA, FREE);

    assertEquals(List.of("3+4 NOBODY DATA NOBODY"), heard);
  }

  /** A run of no frames. Expect nothing. */
  @Test
  void transfer_nothing_changesNothing() {
    ledger.transfer(FRAMES, 0, NOBODY, FREE);

    assertEquals(FRAMES, ledger.count(NOBODY));
  }
}
