// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.machine.Faults.assertFault;
import static org.vmemmap.machine.ToyMachine.LINEAR;
import static org.vmemmap.machine.ToyMachine.ROOT;
import static org.vmemmap.machine.ToyMachine.SECOND_ROOT;
import static org.vmemmap.machine.ToyMachine.readOnly;
import static org.vmemmap.machine.ToyMachine.readWrite;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Loads and stores at virtual addresses: walk, translation caches, roots, faults. */
class CpuTest {
  private static final long FRAME_A = 0x8_0000;
  private static final long FRAME_B = 0x8_1000;
  private static final long VA = 0x3000;

  private final ToyMachine toy = new ToyMachine(OddFormat.withLevels(3), 2);
  private final Machine machine = toy.machine;
  private final Cpu cpu = machine.cpu();

  /** A page at the end of the address space, through 2 to 5 levels of different widths. */
  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 5})
  void walk_lastPageOfTheAddressSpace_findsTheFrame(int levels) {
    OddFormat format = OddFormat.withLevels(levels);
    ToyMachine any = new ToyMachine(format, 1);
    long last = (1L << format.shift(levels)) - 0x1000;
    any.map(ROOT, last, 0, readWrite(FRAME_A));

    any.machine.cpu().writeLong(last + 0xff8, 42);

    assertEquals(42, any.machine.memory().getLong(FRAME_A + 0xff8));
    assertEquals(0, any.machine.mmu().walk(ROOT, last).level());
  }

  /** The indexes of an address in five tables. Expect 2, 3, 4, 5 and 6 bits of it. */
  @Test
  void index_fiveLevels_takesTheBitsOfEachLevel() {
    OddFormat five = OddFormat.withLevels(5);
    long va = 0b000101_00100_0011_010_01L << 12;

    assertEquals(0b01, five.index(va, 0));
    assertEquals(0b010, five.index(va, 1));
    assertEquals(0b0011, five.index(va, 2));
    assertEquals(0b00100, five.index(va, 3));
    assertEquals(0b000101, five.index(va, 4));
  }

  /** A leaf above the last level. Expect the offset in it to count. */
  @Test
  void walk_largeLeaf_addsTheOffset() {
    toy.map(ROOT, 0x4000, 1, readWrite(FRAME_A));

    assertEquals(FRAME_A + 0x2468, cpu.translate(0x6468, false));
    assertEquals(1, machine.mmu().walk(ROOT, 0x6468).level());
  }

  /** The linear window. Expect all widths to reach the bytes, with no table at all. */
  @Test
  void access_linearWindow_needsNoTable() {
    cpu.writeLong(LINEAR + 0x100, 0x1122_3344_5566_7788L);
    cpu.writeInt(LINEAR + 0x104, 1);
    cpu.writeByte(LINEAR + 0x100, (byte) 0x99);

    assertEquals(0x0000_0001_5566_7799L, machine.memory().getLong(0x100));
    assertEquals(1, cpu.readInt(LINEAR + 0x104));
    assertEquals((byte) 0x99, cpu.readByte(LINEAR + 0x100));
    assertEquals(0x0000_0001_5566_7799L, cpu.readLong(LINEAR + 0x100));
  }

  /** Just behind the linear window nothing is mapped. */
  @Test
  void access_behindLinearWindow_faults() {
    assertFault(
        "not-present va=0x400000200000 level2=0x0", () -> cpu.readLong(LINEAR + (2L << 20)));
  }

  /** One frame behind two addresses: what HVO does. Expect a write to show at both. */
  @Test
  void write_sharedFrame_showsAtBothAddresses() {
    toy.map(ROOT, 0x1000, 0, readWrite(FRAME_A));
    toy.map(ROOT, 0x2000, 0, readOnly(FRAME_A));

    cpu.writeLong(0x1010, 7);

    assertEquals(7, cpu.readLong(0x2010));
  }

  /** No entry. Expect a fault that names the level where the walk ended. */
  @Test
  void read_notMapped_faults() {
    toy.map(ROOT, 0x0, 0, readWrite(FRAME_A));

    assertFault("not-present va=0x3000 level0=0x0", () -> cpu.readLong(VA));
  }

  /** A read-only leaf. Expect reads to pass, writes of any kind to fault, nothing to change. */
  @Test
  void write_readOnlyLeaf_faults() {
    toy.map(ROOT, VA, 0, readOnly(FRAME_A));

    assertEquals(0, cpu.readLong(VA));
    assertFault("write-to-read-only va=0x3000 level0=0x80006", () -> cpu.writeLong(VA, 1));
    assertFault("write-to-read-only va=0x3004 level0=0x80006", () -> cpu.writeInt(VA + 4, 1));
    assertFault(
        "write-to-read-only va=0x3008 level0=0x80006", () -> cpu.compareAndExchange(VA + 8, 0, 1));
    assertFault("write-to-read-only va=0x3000 level0=0x80006", () -> cpu.fill(VA, 8, (byte) 1));
    assertEquals(0, machine.memory().getLong(FRAME_A));
  }

  /** A writable leaf behind a table that is read-only. Expect the table to decide. */
  @Test
  void write_readOnlyTable_faults() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    long top = machine.format().fromMemory(machine.memory().getLong(ROOT));
    toy.set(ROOT, top & ~OddFormat.WRITE);

    assertFault("write-to-read-only va=0x3000 level0=0x80007", () -> cpu.writeLong(VA, 1));
  }

  /**
   * A remap without a flush.
   *
   * <pre>
   *   table:  VA -> A     then  VA -> B
   *   cache:  VA -> A           VA -> A until the flush
   * </pre>
   */
  @Test
  void read_remappedWithoutFlush_staysWithTheOldFrame() {
    machine.memory().setLong(FRAME_A, 0xa);
    machine.memory().setLong(FRAME_B, 0xb);
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    assertEquals(0xa, cpu.readLong(VA));

    toy.map(ROOT, VA, 0, readWrite(FRAME_B));
    assertEquals(0xa, cpu.readLong(VA));
    assertTrue(cpu.tlb().reaches(FRAME_A >>> 12));

    machine.flushRange(VA, VA + 0x1000);
    assertEquals(0xb, cpu.readLong(VA));
    assertFalse(cpu.tlb().reaches(FRAME_A >>> 12));
  }

  /** Frame 0 is cached, then its page is taken away. Expect the cache to answer until the flush. */
  @Test
  void read_frameZeroCached_needsNoWalk() {
    long slot = toy.map(ROOT, VA, 0, readOnly(0));
    cpu.readLong(VA);
    toy.set(slot, 0);

    assertEquals(0, cpu.translate(VA, false));
    machine.flushAll();
    assertFault("not-present va=0x3000 level0=0x0", () -> cpu.translate(VA, false));
  }

  /** Write permission taken without a flush. Expect writes to pass until the flush. */
  @Test
  void write_protectedWithoutFlush_passesUntilFlushed() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    cpu.writeLong(VA, 1);
    toy.map(ROOT, VA, 0, readOnly(FRAME_A));

    cpu.writeLong(VA, 2);
    machine.flushAll();

    assertFault("write-to-read-only va=0x3000 level0=0x80006", () -> cpu.writeLong(VA, 3));
    assertEquals(2, machine.memory().getLong(FRAME_A));
  }

  /** A read-only translation is cached, then the entry becomes writable. Expect a new walk. */
  @Test
  void write_permissionGained_needsNoFlush() {
    toy.map(ROOT, VA, 0, readOnly(FRAME_A));
    cpu.readLong(VA);
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));

    cpu.writeLong(VA, 5);

    assertEquals(5, machine.memory().getLong(FRAME_A));
  }

  /** A flush of one page of three. Expect the other two to stay cached. */
  @Test
  void flushRange_middlePage_keepsTheOthers() {
    toy.map(ROOT, 0x1000, 0, readWrite(FRAME_A));
    toy.map(ROOT, 0x2000, 0, readWrite(FRAME_B));
    toy.map(ROOT, 0x3000, 0, readWrite(FRAME_A + 0x2000));
    cpu.readLong(0x1000);
    cpu.readLong(0x2000);
    cpu.readLong(0x3000);

    machine.flushRange(0x2000, 0x3000);

    assertTrue(cpu.tlb().reaches(FRAME_A >>> 12));
    assertFalse(cpu.tlb().reaches(FRAME_B >>> 12));
    assertTrue(cpu.tlb().reaches((FRAME_A + 0x2000) >>> 12));
  }

  /**
   * A leaf of four pages, two of them cached, and a page next to it. A flush of the fourth.
   *
   * <pre>
   *   VA 0x4000   0x5000   0x6000   0x7000 | 0x8000
   *      cached   -        cached   flush  | cached
   * </pre>
   *
   * Expect all of the leaf to go, and the neighbour to stay.
   */
  @Test
  void flushRange_onePageOfALargeLeaf_dropsTheWholeLeaf() {
    toy.map(ROOT, 0x4000, 1, readWrite(FRAME_A));
    toy.map(ROOT, 0x8000, 0, readWrite(FRAME_B));
    cpu.readLong(0x4000);
    cpu.readLong(0x6000);
    cpu.readLong(0x8000);

    machine.flushRange(0x7000, 0x8000);

    assertFalse(cpu.tlb().reaches(FRAME_A >>> 12));
    assertFalse(cpu.tlb().reaches((FRAME_A + 0x2000) >>> 12));
    assertTrue(cpu.tlb().reaches(FRAME_B >>> 12));
  }

  /** Flushes of a huge range, of nothing, and of a part of a page. */
  @Test
  void flushRange_hugeEmptyAndPartial_dropWhatTheyTouch() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    cpu.readLong(VA);

    machine.flushRange(VA, VA);
    assertTrue(cpu.tlb().reaches(FRAME_A >>> 12));

    machine.flushRange(VA + 0x800, VA + 0x808);
    assertFalse(cpu.tlb().reaches(FRAME_A >>> 12));

    cpu.readLong(VA);
    machine.flushRange(0, 1L << 40);
    assertFalse(cpu.tlb().reaches(FRAME_A >>> 12));
    assertEquals(3, cpu.tlb().flushes());
  }

  /** Each CPU has a cache of its own. Expect the second to walk afresh, a flush to reach both. */
  @Test
  void tlb_twoCpus_areApart() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    machine.cpu().readLong(VA);
    toy.map(ROOT, VA, 0, readWrite(FRAME_B));

    machine.runOn(1);
    machine.cpu().writeLong(VA, 0xb);

    assertEquals(1, machine.cpu().number());
    assertEquals(0xb, machine.memory().getLong(FRAME_B));
    assertTrue(machine.cpus().get(0).tlb().reaches(FRAME_A >>> 12));
    machine.flushAll();
    assertFalse(machine.cpus().get(0).tlb().reaches(FRAME_A >>> 12));
    assertFalse(machine.cpus().get(1).tlb().reaches(FRAME_B >>> 12));
  }

  /** Two roots, as two processes have. Expect cached translations to outlive the switch. */
  @Test
  void loadRoot_otherTables_cachedTranslationsStay() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    toy.map(SECOND_ROOT, 0x1000, 0, readWrite(FRAME_B));
    cpu.writeLong(VA, 0xa);

    cpu.loadRoot(SECOND_ROOT);

    assertEquals(SECOND_ROOT, cpu.root());
    assertEquals(0xa, cpu.readLong(VA));
    cpu.writeLong(0x1000, 0xb);
    assertEquals(0xb, machine.memory().getLong(FRAME_B));
    machine.flushAll();
    assertFault("not-present va=0x3000 level0=0x0", () -> cpu.readLong(VA));
  }

  /** Fill and copy across pages that lie apart. Expect each page's own frame to be used. */
  @Test
  void fillAndCopy_acrossPages_followTheMapping() {
    toy.map(ROOT, 0x1000, 0, readWrite(FRAME_B));
    toy.map(ROOT, 0x2000, 0, readWrite(FRAME_A));

    cpu.fill(0x1ff8, 16, (byte) 0xfd);
    cpu.copy(LINEAR + 0x9_0000, 0x1ff0, 32);

    assertEquals(0xfdfd_fdfd_fdfd_fdfdL, machine.memory().getLong(FRAME_B + 0xff8));
    assertEquals(0xfdfd_fdfd_fdfd_fdfdL, machine.memory().getLong(FRAME_A));
    assertEquals(0, machine.memory().getLong(0x9_0000));
    assertEquals(0xfdfd_fdfd_fdfd_fdfdL, machine.memory().getLong(0x9_0010));
  }

  /** Compare and exchange through a mapping. */
  @Test
  void compareAndExchange_mapped_worksOnTheFrame() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));

    assertEquals(0, cpu.compareAndExchange(VA, 0, 4));
    assertEquals(4, cpu.compareAndExchange(VA, 0, 5));
    assertEquals(4, machine.memory().getLong(FRAME_A));
  }

  /** Who listens hears each point, in order; who does not listen pays nothing. */
  @Test
  void yields_listener_hearsWalksExchangesAndFlushes() {
    List<String> heard = new ArrayList<>();
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    machine.yields().listen((what, where) -> heard.add(what + "@" + Long.toHexString(where)));

    cpu.readLong(VA);
    cpu.readLong(VA);
    cpu.compareAndExchange(VA, 0, 1);
    machine.flushRange(VA, VA + 0x1000);
    machine.flushAll();
    machine.yields().listen(null);
    machine.flushAll();

    assertEquals(
        List.of("walk@3000", "cmpxchg@3000", "flush_range@3000", "flush_all@0"), heard);
  }

  /** A machine that watches. Expect each access to be announced with the frame that it will touch. */
  @Test
  void yields_machineThatWatches_announcesAccesses() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    machine.check(Checks.none());
    List<String> heard = new ArrayList<>();
    machine
        .yields()
        .listen(
            new YieldPoints.Listener() {
              @Override
              public void reached(String what, long where) {}

              @Override
              public void access(long paddr, long bytes, boolean write) {
                heard.add((write ? "w" : "r") + bytes + "@" + Long.toHexString(paddr));
              }
            });
    cpu.readLong(VA);
    heard.removeFirst();
    cpu.setBits(VA, 3, 1);
    assertEquals(3, cpu.addInt(VA, 2));
    assertTrue(cpu.compareAndSetInt(VA, 3, 4));
    assertFalse(cpu.compareAndSetInt(VA, 3, 5));
    cpu.fill(VA, 64, (byte) 0);

    String frame = "@" + Long.toHexString(FRAME_A);
    assertEquals(
        List.of("r1" + frame, "w1" + frame, "w1" + frame, "w1" + frame, "w1" + frame, "w64" + frame),
        heard);
  }

  /** A CPU that comes later. Expect it to use the same tables and a cache of its own. */
  @Test
  void addCpu_always_usesTheFirstOnesTables() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    machine.check(Checks.translations());
    machine.addCpu();
    int added = machine.cpus().size() - 1;
    machine.runOn(added);
    machine.cpu().writeLong(VA, 9);
    assertEquals(added, machine.cpu().number());
    assertTrue(machine.cpu().tlb().reaches(FRAME_A >>> 12));
    assertFalse(cpu.tlb().reaches(FRAME_A >>> 12));
  }

  /** A machine tells what it was made of. */
  @Test
  void machine_parts_areThoseGiven() {
    assertEquals(LINEAR, machine.linearBase());
    assertEquals(512, machine.ledger().frames());
    assertEquals(2, machine.cpus().size());
    assertEquals("odd", machine.format().name());
    assertEquals(0, machine.faults().asked());
  }
}
