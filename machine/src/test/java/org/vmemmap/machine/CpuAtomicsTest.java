// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.machine.ToyMachine.LINEAR;
import static org.vmemmap.machine.ToyMachine.ROOT;
import static org.vmemmap.machine.ToyMachine.readOnly;
import static org.vmemmap.machine.ToyMachine.readWrite;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Steps of a CPU that read and write in one, and what they do to stores that wait in its buffer. */
class CpuAtomicsTest {
  private static final long FRAME = 0x8_0000;
  private static final long VA = 0x3000;
  private static final long COUNT = VA + 4;

  /** A word besides, which the CPU stores first. */
  private static final long EARLIER = 0x9_0000;

  private final ToyMachine toy = new ToyMachine(OddFormat.withLevels(3), 2);
  private final Machine machine = toy.machine;
  private final PhysicalMemory memory = machine.memory();
  private final Cpu cpu = machine.cpu();

  CpuAtomicsTest() {
    toy.map(ROOT, VA, 0, readWrite(FRAME));
  }

  private int seenByTheOther(long paddr) {
    machine.runOn(1);
    int seen = memory.getInt(paddr);
    machine.runOn(0);
    return seen;
  }

  /** Bits of a word. Expect those of the mask to be as asked, set or not, and the others to stay. */
  @Test
  void setBits_someOfAWord_keepsTheOthers() {
    cpu.writeLong(VA, 0xff00_ff00_ff00_ff00L);

    cpu.setBits(VA, 0xffff_0000L, 0x1234_0000L);

    assertEquals(0xff00_ff00_1234_ff00L, memory.getLong(FRAME));
  }

  /** A page that may not be written. Expect each of these steps to fault, and to change nothing. */
  @Test
  void steps_readOnlyPage_fault() {
    memory.setInt(FRAME + 0x1000, 5);
    toy.map(ROOT, VA + 0x1000, 0, readOnly(FRAME + 0x1000));

    assertReadOnly(() -> cpu.setBits(VA + 0x1000, 1, 1));
    assertReadOnly(() -> cpu.addInt(VA + 0x1000, 1));
    assertReadOnly(() -> cpu.compareAndSetInt(VA + 0x1000, 5, 6));
    assertReadOnly(() -> cpu.addUnless(VA + 0x1000, 1, 0));
    assertReadOnly(() -> cpu.writeByte(VA + 0x1000, (byte) 1));
    assertEquals(5, cpu.readInt(VA + 0x1000));
  }

  private static void assertReadOnly(Executable step) {
    assertEquals(
        "write-to-read-only va=0x4000 level0=0x81006",
        assertThrows(MachineFault.class, step).getMessage());
  }

  /** A store waits, then a count is added to. Expect the other CPU to see both at once. */
  @Test
  void addInt_storesWaiting_showsThemAndTheSum() {
    machine.bufferStores();
    memory.setInt(EARLIER, 7);
    cpu.writeInt(COUNT, 40);

    assertEquals(42, cpu.addInt(COUNT, 2));

    assertEquals(7, seenByTheOther(EARLIER));
    assertEquals(42, seenByTheOther(FRAME + 4));
    assertEquals(0, seenByTheOther(FRAME));
  }

  /** The add is left out. Expect the count as it is, and the order all the same. */
  @Test
  void addInt_leftOut_stillOrders() {
    machine.omissions().drop(Omissions.ATOMIC_ADD::equals);
    machine.bufferStores();
    memory.setInt(EARLIER, 7);
    cpu.writeInt(COUNT, 40);

    assertEquals(40, cpu.addInt(COUNT, 2));

    assertEquals(7, seenByTheOther(EARLIER));
    assertEquals(40, seenByTheOther(FRAME + 4));
  }

  /** An exchange that takes place, and one that does not. Expect both to show what waited. */
  @ParameterizedTest
  @CsvSource({"40, true, 41", "39, false, 40"})
  void compareAndSetInt_storesWaiting_showsThem(int expected, boolean done, int count) {
    machine.bufferStores();
    memory.setInt(EARLIER, 7);
    cpu.writeInt(COUNT, 40);

    assertEquals(done, cpu.compareAndSetInt(COUNT, expected, 41));

    assertEquals(7, seenByTheOther(EARLIER));
    assertEquals(count, seenByTheOther(FRAME + 4));
  }

  /** A 64-bit exchange. Expect the stores before it to be seen, and the word. */
  @Test
  void compareAndExchange_storesWaiting_showsThem() {
    machine.bufferStores();
    memory.setInt(EARLIER, 7);

    assertEquals(0, cpu.compareAndExchange(VA, 0, 5));

    assertEquals(7, seenByTheOther(EARLIER));
    assertEquals(5, seenByTheOther(FRAME));
  }

  /**
   * Another CPU changes the word between the look and the exchange.
   *
   * <pre>
   *   this CPU    looks: 3                  exchanges: fails      looks again: 7 or 1
   *   the other              7, or 1
   * </pre>
   *
   * Expect it to add to what is there then, or not at all where that is what it must not be.
   */
  @ParameterizedTest
  @CsvSource({"7, true, 9", "1, false, 1"})
  void addUnless_changedInBetween_looksAgain(int meanwhile, boolean added, int count) {
    machine.check(Checks.none());
    cpu.writeInt(LINEAR + FRAME, 3);
    machine
        .yields()
        .listen(
            new YieldPoints.Listener() {
              @Override
              public void reached(String what, long where) {}

              @Override
              public void access(long paddr, long bytes, boolean write) {
                if (write) {
                  machine.yields().listen(null);
                  memory.setInt(paddr, meanwhile);
                }
              }
            });

    assertEquals(added, cpu.addUnless(LINEAR + FRAME, 2, 1));

    assertEquals(count, memory.getInt(FRAME));
  }

  /** The word is what it must not be, and it is not. Expect nothing, and the sum. */
  @Test
  void addUnless_always_tellsWhetherItAdded() {
    cpu.writeInt(COUNT, 0);
    assertFalse(cpu.addUnless(COUNT, -1, 0));
    assertEquals(0, cpu.readInt(COUNT));
    cpu.writeInt(COUNT, 5);
    assertTrue(cpu.addUnless(COUNT, -1, 0));
    assertEquals(4, cpu.readInt(COUNT));
  }
}
