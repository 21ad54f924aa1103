// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.vmemmap.machine.Faults.assertFault;
import static org.vmemmap.machine.ToyMachine.ROOT;
import static org.vmemmap.machine.ToyMachine.readOnly;
import static org.vmemmap.machine.ToyMachine.readWrite;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What all CPUs of a machine share: frames that move, entries that are written, flushes. */
class MachineTest {
  private static final long GARBAGE = 0xfdfd_fdfd_fdfd_fdfdL;
  private static final long FRAME_A = 0x8_0000;
  private static final long FRAME_B = 0x8_1000;
  private static final long VA = 0x2_5000;

  /** The tables on the way to VA, in the order in which the toy machine makes them. */
  private static final long UPPER_TABLE = 0x1_0000;
  private static final long LOWER_TABLE = 0x1_1000;

  private final ToyMachine toy = new ToyMachine(OddFormat.withLevels(3), 2);
  private final Machine machine = toy.machine;
  private final PhysicalMemory memory = machine.memory();
  private final Ledger ledger = machine.ledger();

  private void move(long paddr, long n, TestOwner from, TestOwner to) {
    ledger.transfer(paddr >>> 12, n, from, to);
  }

  /**
   * Frames A and B are written, and go to one who forgets.
   *
   * <pre>
   *   before  [ written | A: written | B: written | written ]
   *   after   [ written | garbage    | garbage    | written ]
   * </pre>
   */
  @Test
  void holdGarbage_ownerThatForgets_losesExactlyItsFrames() {
    machine.holdGarbage(GARBAGE, owner -> owner == TestOwner.FREE);
    memory.fill(FRAME_A - 8, 0x2010, (byte) 7);

    move(FRAME_A, 2, TestOwner.NOBODY, TestOwner.FREE);

    assertEquals(0x0707_0707_0707_0707L, memory.getLong(FRAME_A - 8));
    assertEquals(GARBAGE, memory.getLong(FRAME_A));
    assertEquals(GARBAGE, memory.getLong(FRAME_B + 0xff8));
    assertEquals(0x0707_0707_0707_0707L, memory.getLong(FRAME_B + 0x1000));
  }

  /** A frame goes to one who keeps it, from one who forgets. Expect its bytes to stay. */
  @Test
  void holdGarbage_ownerThatKeeps_losesNothing() {
    machine.holdGarbage(GARBAGE, owner -> owner == TestOwner.FREE);
    move(FRAME_A, 1, TestOwner.NOBODY, TestOwner.FREE);
    memory.setLong(FRAME_A, 7);

    move(FRAME_A, 1, TestOwner.FREE, TestOwner.DATA);

    assertEquals(7, memory.getLong(FRAME_A));
  }

  /** The machine begins to watch for something else, or for nothing. Expect it to forget as before. */
  @Test
  void holdGarbage_checksComeAndGo_forgetsAllTheSame() {
    machine.holdGarbage(GARBAGE, owner -> owner == TestOwner.FREE);
    machine.check(Checks.none().withUncached(owner -> owner == TestOwner.TABLE));
    machine.check(Checks.none());
    memory.setLong(FRAME_A, 7);

    move(FRAME_A, 1, TestOwner.NOBODY, TestOwner.FREE);

    assertEquals(GARBAGE, memory.getLong(FRAME_A));
  }

  /**
   * Frame B is cached on CPU 1, among frames A to C which move. TABLE must not be cached.
   *
   * <pre>
   *   A: not cached | B: cached | C: not
   * </pre>
   *
   * Expect a fault that names B, whether TABLE gets the frames or gives them.
   */
  @Test
  void moves_cachedFrameOfAnOwnerThatMustNotBe_faultsBothWays() {
    machine.check(Checks.none().withUncached(owner -> owner == TestOwner.TABLE));
    toy.map(ROOT, VA, 0, readOnly(FRAME_B));
    machine.cpus().get(1).readLong(VA);

    assertFault(
        "tlb-reaches-freed-frame frame=0x81 to=TABLE cpu=1",
        () -> move(FRAME_A, 3, TestOwner.NOBODY, TestOwner.TABLE));
    assertEquals(TestOwner.NOBODY, ledger.ownerOf(FRAME_B >>> 12));
    machine.flushAll();
    move(FRAME_A, 3, TestOwner.NOBODY, TestOwner.TABLE);
    machine.cpus().get(1).readLong(VA);
    assertFault(
        "tlb-reaches-freed-frame frame=0x81 to=FREE cpu=1",
        () -> move(FRAME_A, 3, TestOwner.TABLE, TestOwner.FREE));
  }

  /** Frame 0 is cached. Expect it to be looked for like all others. */
  @Test
  void moves_frameZeroCached_faults() {
    machine.check(Checks.none().withUncached(owner -> owner == TestOwner.FREE));
    machine.cacheTables();
    toy.map(ROOT, VA, 0, readOnly(0));
    machine.cpu().readLong(VA);

    assertFault(
        "tlb-reaches-freed-frame frame=0x0 to=FREE cpu=0",
        () -> move(0, 1, TestOwner.NOBODY, TestOwner.FREE));
  }

  /** Owners that may be cached, frames next to the cached one, and no check. Expect all to move. */
  @Test
  void moves_nothingThatMatters_passes() {
    machine.check(Checks.none().withUncached(owner -> owner == TestOwner.TABLE));
    toy.map(ROOT, VA, 0, readOnly(FRAME_B));
    machine.cpu().readLong(VA);

    assertDoesNotThrow(() -> move(FRAME_A, 2, TestOwner.NOBODY, TestOwner.DATA));
    assertDoesNotThrow(() -> move(FRAME_A, 1, TestOwner.DATA, TestOwner.TABLE));
    machine.check(Checks.none());
    assertDoesNotThrow(() -> move(FRAME_B, 1, TestOwner.DATA, TestOwner.TABLE));
  }

  /** A table was walked, nothing is cached of its pages. Expect that its frame cannot be freed. */
  @Test
  void moves_tableOfAWalk_faultsUntilTablesAreFlushed() {
    machine.check(Checks.none().withUncached(owner -> owner == TestOwner.FREE));
    machine.cacheTables();
    toy.map(ROOT, VA, 0, readOnly(FRAME_B));
    machine.cpu().readLong(VA);

    assertFault(
        "tlb-reaches-freed-frame frame=0x11 to=FREE cpu=0",
        () -> move(LOWER_TABLE, 1, TestOwner.NOBODY, TestOwner.FREE));
    machine.flushTables(VA, VA + 0x1000);
    assertDoesNotThrow(() -> move(LOWER_TABLE, 1, TestOwner.NOBODY, TestOwner.FREE));
  }

  /**
   * Entries at a level above the leaf's, after a walk through the table and a flush of everything.
   *
   * <pre>
   *   level 1   old: table 0x11   new: nothing       the table is cached again
   *   level 1   old: table 0x11   new: other table   it is not
   *   level 1   old: leaf  0x11   new: nothing       it is no table now
   *   level 0   old: page  0x11   new: nothing       nor here
   * </pre>
   */
  @ParameterizedTest
  @CsvSource({
    "1, 0x1100a, 0x0, 0x11",
    "1, 0x1100a, 0x1300a, -1",
    "1, 0x11006, 0x0, -1",
    "1, 0x11008, 0x0, -1",
    "0, 0x11002, 0x0, -1",
  })
  void writeEntry_tableTakenOut_isCachedAgain(int level, String old, String entry, String cached) {
    machine.cacheTables();
    toy.map(ROOT, VA, 0, readOnly(FRAME_A));
    machine.cpus().get(1).readLong(VA);
    machine.flushAll();
    toy.set(FRAME_B, Long.decode(old));

    machine.writeEntry(FRAME_B, Long.decode(entry), level);

    assertEquals(Long.decode(cached), machine.cpus().get(1).reached(0, 0x20));
    assertEquals(-1, machine.cpu().reached(0, 0x20));
  }

  /** A machine whose CPUs remember no tables. Expect an entry to go as any other. */
  @Test
  void writeEntry_tablesNotCached_clearsTheEntry() {
    toy.map(ROOT, VA, 0, readOnly(FRAME_A));
    machine.cpu().readLong(VA);
    machine.flushAll();

    machine.writeEntry(ROOT + 8, 0, 2);

    assertEquals(0, memory.getLong(ROOT + 8));
    assertEquals(-1, machine.cpu().reached(UPPER_TABLE >>> 12, 2));
  }

  /** Entries of all kinds, with nothing left out. Expect them as they were given. */
  @ParameterizedTest
  @ValueSource(strings = {"0x80006", "0x80007", "0x80004", "0x0"})
  void writeEntry_anyEntry_isStoredAsItIs(String entry) {
    machine.writeEntry(FRAME_B, Long.decode(entry), 0);

    assertEquals(Long.decode(entry), machine.format().fromMemory(memory.getLong(FRAME_B)));
  }

  /**
   * Protection is left out. Expect only a present pte to get it: an entry of a table, and one that is
   * not there, stay as they are.
   */
  @ParameterizedTest
  @CsvSource({"0, 0x80006, 0x80007", "0, 0x80004, 0x80004", "1, 0x80006, 0x80006"})
  void writeEntry_protectionLeftOut_opensPresentPtes(int level, String entry, String stored) {
    machine.omissions().drop(Omissions.WRITE_PROTECT::equals);

    machine.writeEntry(FRAME_B, Long.decode(entry), level);

    assertEquals(Long.decode(stored), machine.format().fromMemory(memory.getLong(FRAME_B)));
  }

  /** Who listens hears of the entry before it is written. */
  @Test
  void writeEntry_listener_hearsFirst() {
    machine
        .yields()
        .listen(
            new YieldPoints.Listener() {
              @Override
              public void reached(String what, long where) {}

              @Override
              public void access(long paddr, long bytes, boolean write) {
                assertEquals(0, memory.getLong(paddr));
                memory.setLong(paddr + bytes, write ? 1 : 2);
              }
            });

    machine.writeEntry(FRAME_B, readOnly(FRAME_A), 0);

    assertEquals(1, memory.getLong(FRAME_B + 8));
  }

  /** A CPU that asks for break-before-make. Expect writeEntry() to refuse, and to write nothing. */
  @Test
  void writeEntry_changeInPlace_faultsAndStays() {
    ToyMachine strict = new ToyMachine(new OddFormat(3, true), 1);
    strict.machine.writeEntry(FRAME_B, readOnly(FRAME_A), 0);
    assertDoesNotThrow(() -> strict.machine.writeEntry(FRAME_B, readOnly(FRAME_B), 0));
    strict.machine.check(Checks.entryWrites());

    assertFault(
        "break-before-make-violated old=0x81006 new=0x80006",
        () -> strict.machine.writeEntry(FRAME_B, readOnly(FRAME_A), 0));
    assertDoesNotThrow(() -> strict.machine.writeEntry(FRAME_B, readWrite(FRAME_B), 0));
    strict.machine.check(Checks.none());
    assertDoesNotThrow(() -> strict.machine.writeEntry(FRAME_B, readOnly(FRAME_A), 0));
  }

  /** Which of the three flushes, and a call that leaves it out. */
  enum Flush {
    ALL(Omissions.FLUSH_ALL) {
      @Override
      void run(Machine machine) {
        machine.flushAll();
      }
    },
    RANGE(Omissions.FLUSH_RANGE) {
      @Override
      void run(Machine machine) {
        machine.flushRange(VA, VA + 0x1000);
      }
    },
    TABLES(Omissions.FLUSH_TABLES) {
      @Override
      void run(Machine machine) {
        machine.flushTables(VA, VA + 0x1000);
      }
    };

    private final String omission;

    Flush(String omission) {
      this.omission = omission;
    }

    abstract void run(Machine machine);
  }

  /** A page and its tables are cached on CPU 1. Expect each flush to drop them, unless left out. */
  @ParameterizedTest
  @EnumSource
  void flush_leftOutAndThenNot_dropsWhatIsCached(Flush flush) {
    Cpu other = machine.cpus().get(1);
    machine.cacheTables();
    toy.map(ROOT, VA, 0, readOnly(FRAME_A));
    other.readLong(VA);

    machine.omissions().drop(flush.omission::equals);
    flush.run(machine);
    assertEquals(0x80, other.reached(0x80, 1));
    assertEquals(0x11, other.reached(0x11, 1));
    machine.omissions().dropNone();
    flush.run(machine);
    assertEquals(-1, other.reached(0x80, 1));
    assertEquals(-1, other.reached(0x11, 1));
  }

  /** Each flush with a listener and a store that waits. Expect a point, and the store to be seen. */
  @ParameterizedTest
  @EnumSource
  void flush_always_isAFullBarrier(Flush flush) {
    machine.bufferStores();
    memory.setLong(FRAME_A, 7);
    Hearing hearing = new Hearing();
    machine.yields().listen(hearing);

    flush.run(machine);

    long where = flush == Flush.ALL ? 0 : VA;
    String point = flush.omission + "@" + Long.toHexString(where);
    assertEquals(List.of(point), hearing.heard);
    machine.runOn(1);
    assertEquals(7, memory.getLong(FRAME_A));
  }

  /** A CPU whose flushes of ranges keep tables. Expect the page to go and the tables to stay. */
  @Test
  void flushRange_formatThatKeepsTables_keepsThem() {
    Machine keeping =
        new Machine(2L << 20, new KeepsTables(), ToyMachine.LINEAR, TestOwner.values(), 1);
    keeping.cacheTables();
    keeping.cpu().loadRoot(ROOT);
    keeping.memory().setLong(ROOT, LOWER_TABLE);
    keeping.memory().setLong(LOWER_TABLE + 8, FRAME_A);
    keeping.cpu().readLong(0x1000);

    keeping.flushRange(0x1000, 0x2000);
    assertEquals(-1, keeping.cpu().reached(0x80, 1));
    assertEquals(0x11, keeping.cpu().reached(0x11, 1));
    keeping.flushTables(0x1000, 0x2000);
    assertEquals(-1, keeping.cpu().reached(0x11, 1));
  }

  private static final class KeepsTables extends PlainFormat {
    @Override
    public boolean flushRangeKeepsTables() {
      return true;
    }
  }

  /** A flush of nothing. Expect page and tables to stay. */
  @Test
  void flushTables_emptyRange_keepsAll() {
    machine.cacheTables();
    toy.map(ROOT, VA, 0, readOnly(FRAME_A));
    machine.cpu().readLong(VA);

    machine.flushTables(VA, VA);

    assertEquals(0x80, machine.cpu().reached(0x80, 1));
    assertEquals(0x11, machine.cpu().reached(0x11, 1));
  }

  /** A CPU that comes to a machine that watches, and to one that does not. Expect it to watch, too. */
  @Test
  void addCpu_machineThatWatches_watches() {
    machine.addCpu();
    Cpu early = machine.cpus().get(2);
    toy.map(ROOT, VA, 0, readOnly(FRAME_A));
    early.readLong(VA);
    toy.map(ROOT, VA, 0, readOnly(FRAME_B));
    assertDoesNotThrow(() -> early.readLong(VA));

    machine.check(Checks.translations());
    machine.addCpu();
    Cpu late = machine.cpus().get(3);
    late.readLong(VA);
    toy.map(ROOT, VA, 0, readOnly(FRAME_A));
    assertFault("stale-translation va=0x25000 paddr=0x81000", () -> late.readLong(VA));
  }

  /** A CPU that comes when the others remember tables, and one that came before. Expect both to. */
  @Test
  void addCpu_tablesAreCached_cachesThem() {
    machine.addCpu();
    Cpu early = machine.cpus().get(2);
    machine.cacheTables();
    machine.addCpu();
    Cpu late = machine.cpus().get(3);
    toy.map(ROOT, VA, 0, readOnly(FRAME_A));

    early.readLong(VA);
    assertEquals(LOWER_TABLE >>> 12, early.reached(LOWER_TABLE >>> 12, 1));
    assertEquals(-1, late.reached(LOWER_TABLE >>> 12, 1));
    late.readLong(VA);
    assertEquals(LOWER_TABLE >>> 12, late.reached(LOWER_TABLE >>> 12, 1));
  }
}
