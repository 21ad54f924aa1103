// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.arch.powerpc.PowerpcBench.GIB;
import static org.vmemmap.arch.powerpc.PowerpcBench.MIB;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.sparse.MemoryBlock;
import org.vmemmap.sparse.NotifierChain;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;

/** LMBs that a hypervisor gives and takes, also when one of several refuses. */
class PseriesHotplugMemoryTest {
  private static final long LMB = 64 * MIB;
  private static final long START = 2 * GIB;
  private static final int DRC = 0x80000000;

  private final PowerpcBench bench = PowerpcBench.radix4k();
  private final IomemResource iomem = new IomemResource(bench.mm);
  private final HotplugSystem h = bench.hotplugSystem(LMB, iomem);
  private final PseriesHotplugMemory dlpar =
      new PseriesHotplugMemory(bench.mm, bench.memblock, h);

  /** Room for four LMBs behind all memory. */
  private int room() {
    return dlpar.addRoom(START, 4 * LMB, 0);
  }

  private @Nullable String state(int lmb) {
    return h.sysfs().read("/sys/devices/system/memory/memory" + (START / LMB + lmb) + "/state");
  }

  private int write(int lmb, String state) {
    String file = "/sys/devices/system/memory/memory" + (START / LMB + lmb) + "/state";
    return h.sysfs().write(file, state);
  }

  /** From now on the LMB refuses the step. */
  private void refuse(int step, int lmb) {
    long pfn = bench.pfn(START + lmb * LMB);
    h.blocks()
        .registerMemoryNotifier(
            (action, arg) ->
                action == step && arg.startPfn() == pfn
                    ? NotifierChain.NOTIFY_BAD
                    : NotifierChain.NOTIFY_OK);
  }

  private long memblocks() {
    return bench.memblock.memRanges().stream().mapToLong(r -> r.end() - r.start()).sum();
  }

  private void assertQuiet() {
    assertEquals(List.of(), bench.warnings());
    assertFalse(h.locks().held());
  }

  /**
   * Room in two places.
   *
   * <pre>
   *   index   80000000 .. 80000003   80000004 ..
   *          | 2G .. 2.25G         | 4G ..
   * </pre>
   *
   * Expect the indices to count on, and each to stand for one memory block.
   */
  @Test
  void addRoom_twice_indicesCountOn() {
    assertEquals(DRC, room());
    assertEquals(DRC + 4, dlpar.addRoom(4 * GIB, LMB, 0));

    assertEquals(0, dlpar.dlparMemoryAddByIc(1, DRC + 4));
    assertEquals("online", h.sysfs().read("/sys/devices/system/memory/memory64/state"));
    assertNull(state(0));
  }

  /** Two of four LMBs come and go. Expect both online in memblock and iomem, then nothing left. */
  @Test
  void addAndRemove_twoLmbs_leaveNothing() {
    String before = iomem.show();
    long memory = memblocks();
    int drc = room();

    assertEquals(0, dlpar.dlparMemoryAddByIc(2, drc + 1));
    assertNull(state(0));
    assertEquals("online", state(1));
    assertEquals("online", state(2));
    assertNull(state(3));
    assertEquals(memory + 2 * LMB, memblocks());
    assertTrue(bench.log().contains("Attempting to hot-add 2 LMB(s) at index 80000001"));

    assertEquals(0, dlpar.dlparMemoryRemoveByIc(2, drc + 1));
    assertNull(state(1));
    assertNull(state(2));
    assertEquals(memory, memblocks());
    assertEquals(before, iomem.show());
    assertTrue(bench.log().contains("Attempting to hot-remove 2 LMB(s) at 80000001"));
    assertQuiet();
  }

  /** A range with LMBs that are there, or not there any more. Expect them to count as done. */
  @Test
  void addAndRemove_lmbsThatAreSoAlready_countAsDone() {
    int drc = room();
    assertEquals(0, dlpar.dlparMemoryAddByIc(1, drc + 1));

    assertEquals(0, dlpar.dlparMemoryAddByIc(3, drc));
    assertEquals("online", state(0));
    assertEquals("online", state(1));
    assertEquals("online", state(2));

    assertEquals(0, dlpar.dlparMemoryRemoveByIc(1, drc));
    assertEquals(0, dlpar.dlparMemoryRemoveByIc(4, drc));
    assertNull(state(1));
    assertNull(state(2));
    assertQuiet();
  }

  /** Somebody put an LMB offline by hand. Expect removal not to mind. */
  @Test
  void remove_lmbThatIsOffline_goes() {
    int drc = room();
    assertEquals(0, dlpar.dlparMemoryAddByIc(2, drc));
    assertEquals(0, write(1, "offline"));

    assertEquals(0, dlpar.dlparMemoryRemoveByIc(2, drc));
    assertNull(state(0));
    assertNull(state(1));
    assertQuiet();
  }

  /** No LMB, an unknown index, and more than there are. Expect -EINVAL, and all four to be fine. */
  @Test
  void addAndRemove_badRange_isRefused() {
    int drc = room();

    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryAddByIc(0, drc));
    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryAddByIc(5, drc));
    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryAddByIc(1, 0));
    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryAddByIc(1, drc + 4));
    assertNull(state(0));

    assertEquals(0, dlpar.dlparMemoryAddByIc(4, drc));
    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryRemoveByIc(0, drc));
    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryRemoveByIc(2, drc + 3));
    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryRemoveByIc(1, 1));
    assertEquals("online", state(0));
    assertEquals("online", state(3));
    assertEquals(0, dlpar.dlparMemoryRemoveByIc(1, drc + 3));
    assertNull(state(3));
    assertQuiet();
  }

  /** The device tree cannot be updated for the second LMB. Expect the first to go again. */
  @Test
  void add_noAssociativity_isUndone() {
    String before = iomem.show();
    int drc = room();
    bench.failNth(2, "update_lmb_associativity_index");

    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryAddByIc(3, drc));

    assertNull(state(0));
    assertNull(state(1));
    assertEquals(before, iomem.show());
    assertTrue(bench.log().contains("Failed to configure LMB 0x80000001"));
    assertTrue(bench.log().contains("Memory indexed-count-add failed, removing any added LMBs"));
    assertEquals(0, dlpar.dlparMemoryAddByIc(3, drc));
    assertQuiet();
  }

  /** The kernel uses the place of the second LMB. Expect the first to go again, and no third. */
  @Test
  void add_memoryInUse_isUndone() {
    int drc = room();
    iomem.requestMemRegion(START + LMB, LMB, "device");

    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryAddByIc(3, drc));

    assertNull(state(0));
    assertNull(state(2));
    assertTrue(bench.log().contains("Failed to add LMB 0x80000001 to node 0"));
    assertQuiet();
  }

  /** The second LMB does not go online. Expect it to be removed, and the first with it. */
  @Test
  void add_doesNotGoOnline_isUndone() {
    String before = iomem.show();
    int drc = room();
    refuse(MemoryBlock.MEM_GOING_ONLINE, 1);

    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryAddByIc(2, drc));

    assertNull(state(0));
    assertNull(state(1));
    assertEquals(before, iomem.show());
    assertTrue(bench.log().contains("Failed to online LMB 0x80000001 on node 0"));
    assertQuiet();
  }

  /**
   * The third LMB cannot be added, and the second cannot be taken back.
   *
   * <pre>
   *   LMB    0        1                 2
   *          added    added             refuses
   *          removed  stays, with words
   * </pre>
   *
   * Expect the second to stay and to be known as there: adding all again needs 0 and 2 only.
   */
  @Test
  void add_undoingFails_saysSo() {
    int drc = room();
    refuse(MemoryBlock.MEM_GOING_OFFLINE, 1);
    bench.failNth(3, "update_lmb_associativity_index");

    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryAddByIc(3, drc));

    assertNull(state(0));
    assertEquals("online", state(1));
    assertNull(state(2));
    assertTrue(bench.log().contains("Failed to remove LMB, drc index 80000001"));
    assertFalse(bench.log().contains("Failed to remove LMB, drc index 80000000"));
    assertEquals(0, dlpar.dlparMemoryAddByIc(3, drc));
    assertQuiet();
  }

  /** The third of four LMBs does not go offline. Expect the first two back, the last untouched. */
  @Test
  void remove_doesNotGoOffline_isUndone() {
    int drc = room();
    assertEquals(0, dlpar.dlparMemoryAddByIc(4, drc));
    long memory = memblocks();
    refuse(MemoryBlock.MEM_GOING_OFFLINE, 2);

    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryRemoveByIc(4, drc));

    assertEquals(List.of("online", "online", "online", "online"), states());
    assertEquals(memory, memblocks());
    assertTrue(bench.log().contains("Memory indexed-count-remove failed, adding any removed LMBs"));
    assertFalse(bench.log().stream().anyMatch(line -> line.startsWith("Failed to add LMB")));
    assertQuiet();
  }

  private List<String> states() {
    return List.of(0, 1, 2, 3).stream().map(lmb -> String.valueOf(state(lmb))).toList();
  }

  /** The same, and the second LMB cannot be added again. Expect it to stay away, with words. */
  @Test
  void remove_undoingFails_saysSo() {
    int drc = room();
    assertEquals(0, dlpar.dlparMemoryAddByIc(3, drc));
    refuse(MemoryBlock.MEM_GOING_OFFLINE, 2);
    bench.failNth(2, "update_lmb_associativity_index");

    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryRemoveByIc(3, drc));

    assertEquals("online", state(0));
    assertNull(state(1));
    assertEquals("online", state(2));
    assertTrue(bench.log().contains("Failed to add LMB, drc index 80000001"));
    assertEquals(0, dlpar.dlparMemoryRemoveByIc(1, drc));
    assertQuiet();
  }

  /** The memory block of an LMB has gone by another way. Expect -EINVAL and a word. */
  @Test
  void remove_blockIsGone_isRefused() {
    int drc = room();
    assertEquals(0, dlpar.dlparMemoryAddByIc(1, drc));
    assertEquals(0, write(0, "offline"));
    assertEquals(0, h.add().removeMemory(START, LMB));

    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryRemoveByIc(1, drc));
    assertTrue(bench.log().contains("Failed memory block lookup for LMB 0x80000000"));
    assertQuiet();
  }

  /**
   * LMBs whose node the firmware gives, and some for which it gives none that is possible. Expect
   * the first online node for those.
   */
  @ParameterizedTest
  @CsvSource({"-1, 0", "0, 0", "1, 1", "255, 255", "256, 0"})
  void add_node_isTheFirmwaresIfPossible(int given, int node) {
    int drc = dlpar.addRoom(START, LMB, given);

    assertEquals(0, dlpar.dlparMemoryAddByIc(1, drc));

    assertEquals(
        node, bench.mm.inline().pageToNid(bench.mm.model().pfnToPage(bench.pfn(START))));
    assertQuiet();
  }

  /** The same where RAM is on node 1, so that node 0 is possible, but not online. */
  @ParameterizedTest
  @CsvSource({"-1, 1", "0, 0"})
  void add_nodeThatIsNotOnline_isTheFirmwaresToo(int given, int node) {
    PowerpcBench other = PowerpcBench.radix4kOnNode(1);
    HotplugSystem system = other.hotplugSystem(LMB, new IomemResource(other.mm));
    PseriesHotplugMemory lmbs = new PseriesHotplugMemory(other.mm, other.memblock, system);
    int drc = lmbs.addRoom(START, LMB, given);

    assertEquals(0, lmbs.dlparMemoryAddByIc(1, drc));

    assertEquals(
        node, other.mm.inline().pageToNid(other.mm.model().pfnToPage(other.pfn(START))));
    assertEquals(List.of(), other.warnings());
  }

  /** LMBs come and go twice. Expect nothing to pile up, memory blocks included. */
  @Test
  void addAndRemove_again_takesNoMoreMemory() {
    int drc = room();
    assertEquals(0, dlpar.dlparMemoryAddByIc(4, drc));
    assertEquals(0, dlpar.dlparMemoryRemoveByIc(4, drc));
    long objects = bench.slab.objectsInUse();

    assertEquals(0, dlpar.dlparMemoryAddByIc(4, drc));
    assertEquals(0, dlpar.dlparMemoryRemoveByIc(4, drc));

    assertEquals(objects, bench.slab.objectsInUse());
    assertQuiet();
  }

  /**
   * Two LMBs have gone by an earlier request; a later one for three fails at the third.
   *
   * <pre>
   *   LMB    0     1     2
   *          gone  gone  refuses
   * </pre>
   *
   * Expect the first two to stay away, as that request did not take them.
   */
  @Test
  void remove_fails_leavesWhatAnEarlierRequestTook() {
    int drc = room();
    assertEquals(0, dlpar.dlparMemoryAddByIc(3, drc));
    assertEquals(0, dlpar.dlparMemoryRemoveByIc(2, drc));
    refuse(MemoryBlock.MEM_GOING_OFFLINE, 2);

    assertEquals(-Errno.EINVAL, dlpar.dlparMemoryRemoveByIc(3, drc));

    assertNull(state(0));
    assertNull(state(1));
    assertEquals("online", state(2));
    assertQuiet();
  }
}
