// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.vmemmap.machine.ToyMachine.LINEAR;
import static org.vmemmap.machine.ToyMachine.ROOT;
import static org.vmemmap.machine.ToyMachine.readOnly;
import static org.vmemmap.machine.ToyMachine.readWrite;

import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * What a listener hears of the accesses of a CPU, on a machine that watches: a step of a walk, the
 * frame that a translation gave, the bytes.
 */
class CpuPointsTest {
  private static final long FRAME_A = 0x8_0000;
  private static final long FRAME_B = 0x9_0000;
  private static final long VA = 0x1000;

  /** Where the leaf of VA lies, in the second table that the toy machine makes. */
  private static final String LEAF = "r8@11008";

  private final ToyMachine toy = new ToyMachine(OddFormat.withLevels(3), 1);
  private final Machine machine = toy.machine;
  private final Cpu cpu = machine.cpu();
  private final Hearing hearing = new Hearing();

  private void watch(Machine watched) {
    watched.check(Checks.none());
    watched.yields().listen(hearing);
  }

  private void assertHeard(String... points) {
    assertEquals(List.of(points), hearing.heard);
    hearing.heard.clear();
  }

  /** The first access to a page and the second. Expect a step of a walk for the first only. */
  @Test
  void read_firstAndSecondTime_tellsOfTheWalkOnce() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    watch(machine);

    cpu.readInt(VA + 4);
    assertHeard(LEAF, "translated@80", "r1@80004", "walk@1004");
    cpu.writeLong(VA + 8, 1);
    assertHeard("translated@80", "w1@80008");
  }

  /** A page that is read-only is cached. Expect a write to walk. */
  @Test
  void write_readOnlyPage_tellsOfAnotherWalk() {
    toy.map(ROOT, VA, 0, readOnly(FRAME_A));
    cpu.readLong(VA);
    watch(machine);
    cpu.readLong(VA);
    hearing.heard.clear();

    assertThrows(MachineFault.class, () -> cpu.writeLong(VA, 1));

    assertHeard(LEAF, "translated@80", "w1@80000", "walk@1000");
  }

  /** A page that is not there. Expect the look at its entry, and no access. */
  @Test
  void read_notMapped_tellsOfTheWalkOnly() {
    toy.map(ROOT, VA, 0, 0);
    watch(machine);

    assertThrows(MachineFault.class, () -> cpu.readLong(VA));

    assertHeard(LEAF, "walk@1000");
  }

  /** Both ends of the linear window. Expect accesses that no translation led to. */
  @Test
  void read_linearWindow_tellsOfNoTranslation() {
    watch(machine);

    cpu.readLong(LINEAR);
    cpu.writeByte(LINEAR + (2L << 20) - 1, (byte) 1);

    assertHeard("r1@0", "w1@1fffff");
  }

  /** The addresses next to the linear window. Expect them to be walked. */
  @Test
  void read_nextToTheLinearWindow_walks() {
    toy.map(ROOT, LINEAR - 8, 0, readWrite(FRAME_A));
    watch(machine);

    cpu.readLong(LINEAR - 8);
    assertEquals("translated@80", hearing.heard.get(1));
    hearing.heard.clear();
    assertThrows(MachineFault.class, () -> cpu.readLong(LINEAR + (2L << 20)));
    assertHeard("r8@1000", "walk@400000200000");
  }

  /** A listener to a machine that does not watch. Expect walks only. */
  @Test
  void read_machineThatDoesNotWatch_tellsOfNoAccess() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    machine.yields().listen(hearing);

    cpu.readLong(VA);
    cpu.readLong(VA);

    assertHeard("walk@1000");
  }

  /**
   * A fill over three pages: the end of the first, the second, the start of the third.
   *
   * <pre>
   *   0x1ff0 [16 bytes] | 0x2000 [4096] | 0x3000 [8]
   * </pre>
   */
  @Test
  void fill_threePages_tellsOfEachPart() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    toy.map(ROOT, 0x2000, 0, readWrite(FRAME_B));
    toy.map(ROOT, 0x3000, 0, readWrite(FRAME_A + 0x1000));
    cpu.fill(VA, 0x3000, (byte) 1);
    watch(machine);
    machine.memory().setLong(FRAME_A + 0x1008, 9);
    readAll(VA, 0x2000, 0x3000);

    cpu.fill(VA + 0xff0, 16 + 4096 + 8, (byte) 7);

    assertHeard(
        "translated@80", "w16@80ff0", "translated@90", "w4096@90000", "translated@81", "w8@81000");
    assertEquals(0x0101_0101_0101_0101L, machine.memory().getLong(FRAME_A + 0xfe8));
    assertEquals(0x0707_0707_0707_0707L, machine.memory().getLong(FRAME_A + 0xff0));
    assertEquals(0x0707_0707_0707_0707L, machine.memory().getLong(FRAME_B + 0xff8));
    assertEquals(9, machine.memory().getLong(FRAME_A + 0x1008));
  }

  /**
   * Copies whose source and destination change pages at different places, there and back.
   *
   * <pre>
   *   linear 0x9ffe0 [32] | [16]      0x1ff0 [16] | 0x2000 [32]
   *   parts                16, 16, 16
   * </pre>
   */
  @Test
  void copy_pagesOnBothSides_tellsOfEachPart() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    toy.map(ROOT, 0x2000, 0, readWrite(FRAME_B));
    machine.memory().fill(0x9_ffe0, 48, (byte) 7);
    watch(machine);
    readAll(VA, 0x2000);

    cpu.copy(VA + 0xff0, LINEAR + 0x9_ffe0, 48);

    assertHeard(
        "translated@80", "w16@80ff0", "r16@9ffe0",
        "translated@90", "w16@90000", "r16@9fff0",
        "translated@90", "w16@90010", "r16@a0000");
    assertEquals(0x0707_0707_0707_0707L, machine.memory().getLong(FRAME_B + 0x18));
    assertEquals(0, machine.memory().getLong(FRAME_B + 0x20));

    cpu.copy(LINEAR + 0x9_ffe0, VA + 0xff0, 48);
    assertHeard(
        "w16@9ffe0", "translated@80", "r16@80ff0",
        "w16@9fff0", "translated@90", "r16@90000",
        "w16@a0000", "translated@90", "r16@90010");
  }

  /** Fill and copy without a listener on a machine that watches. Expect them to do their work. */
  @Test
  void fill_nobodyListens_worksAllTheSame() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    watch(machine);
    machine.yields().listen(null);

    cpu.fill(VA, 8, (byte) 7);

    assertHeard();
    assertEquals(0x0707_0707_0707_0707L, machine.memory().getLong(FRAME_A));
  }

  /** A CPU that walks no tree. Expect no step of a walk, and nothing where no block is. */
  @Test
  void read_boltedMappings_tellsOfTheTranslation() {
    BoltedMappings bolted = new BoltedMappings();
    bolted.insert(0xc000_0000_0001_0000L, 16, FRAME_A, true);
    Machine hashed =
        new Machine(2L << 20, new PlainFormat(), LINEAR, TestOwner.values(), 1, bolted);
    watch(hashed);

    hashed.cpu().readLong(0xc000_0000_0001_5678L);
    assertHeard("translated@85", "r1@85678", "walk@c000000000015678");
    assertThrows(MachineFault.class, () -> hashed.cpu().readLong(0xc000_0000_0002_0000L));
    assertHeard("walk@c000000000020000");
  }

  /** Makes these pages known to the cache, so that they are not walked any more. */
  private void readAll(long... pages) {
    for (long page : pages) {
      cpu.readLong(page);
    }
    hearing.heard.clear();
  }
}
