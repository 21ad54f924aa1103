// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Resource;

/** What a device gives back when it is unbound, and in which order. */
class DeviceTest {
  private static final long GIB = 1L << 30;

  private final DaxMachine m = new DaxMachine();
  private final Device dev = new Device("dev", -1);

  /** Three actions, the second released early. Expect it first, then the others backwards. */
  @Test
  void devres_order_lastFirst() {
    List<String> done = new ArrayList<>();
    assertEquals(0, dev.devmAddAction(m.mm, "a", () -> done.add("a")));
    assertEquals(0, dev.devmAddAction(m.mm, "b", () -> done.add("b")));
    assertEquals(0, dev.devmAddAction(m.mm, "c", () -> done.add("c")));

    dev.devmReleaseAction(m.mm.printk(), "b");
    dev.devresReleaseAll();

    assertEquals(List.of("b", "c", "a"), done);
  }

  /** No memory for the note. Expect -ENOMEM; with "or reset" the action done at once. */
  @Test
  void devmAddAction_noMemory_enomem() {
    List<String> done = new ArrayList<>();
    m.machine.faults().failFrom(1, "__devm_add_action"::equals);
    assertEquals(-Errno.ENOMEM, dev.devmAddAction(m.mm, "a", () -> done.add("a")));
    assertEquals(-Errno.ENOMEM, dev.devmAddActionOrReset(m.mm, "b", () -> done.add("b")));
    assertEquals(List.of("b"), done);
  }

  /** A claim that is given back twice. Expect the WARN the second time. */
  @Test
  void devmReleaseMemRegion_twice_warns() {
    Resource res =
        Objects.requireNonNull(dev.devmRequestMemRegion(m.mm, m.iomem, GIB, 4096, "dev"));
    dev.devmReleaseMemRegion(m.mm.printk(), res);
    dev.devmReleaseMemRegion(m.mm.printk(), res);
    assertEquals(List.of("__devm_release_region: devres_release()"), m.warnings());
  }

  /** No memory for the note of a claim. Expect null and no claim. */
  @Test
  void devmRequestMemRegion_noMemory_null() {
    String before = m.iomem.show();
    m.failNth(1, "__devm_request_region");
    assertNull(dev.devmRequestMemRegion(m.mm, m.iomem, GIB, 4096, "dev"));
    assertEquals(before, m.iomem.show());
  }

  /** A namespace that is disabled without having been enabled. Expect the BUG. */
  @Test
  void nsioDisable_notEnabled_bug() {
    Resource res = new Resource(GIB, 2 * GIB - 1, "n", Resource.IORESOURCE_MEM, 0);
    NdNamespaceIo ndns = new NdNamespaceIo(m.mm, m.iomem, "namespace0.0", 0, res);
    assertThrows(KernelBug.class, () -> ndns.devmNsioDisable(dev));
  }

  /** Memory that a driver takes. Expect it zeroed, and back when the device is unbound. */
  @Test
  void devmKzalloc_unbound_isFreed() {
    DaxMachine booted = new DaxMachine().boot();
    long objects = booted.slab.objectsInUse();

    long va = dev.devmKzalloc(booted.mm, booted.slab, 160);
    assertEquals(objects + 1, booted.slab.objectsInUse());
    assertEquals(0, booted.machine.cpu().readLong(va + 152));
    dev.devresReleaseAll();

    assertEquals(objects, booted.slab.objectsInUse());
  }

  /** No memory for it. Expect 0, and nothing to give back. */
  @Test
  void devmKzalloc_noMemory_zero() {
    DaxMachine booted = new DaxMachine().boot();
    long objects = booted.slab.objectsInUse();
    booted.failNth(1, "devm_kmalloc");

    assertEquals(0, dev.devmKzalloc(booted.mm, booted.slab, 160));
    dev.devresReleaseAll();

    assertEquals(objects, booted.slab.objectsInUse());
  }

  /** What a device says. Expect its name before it, and a WARN once, with the answer each time. */
  @Test
  void warn_text_hasTheName() {
    dev.warn(m.mm.printk(), "could not");
    assertEquals("dev: could not", m.log().getLast());
    assertEquals("dev", dev.toString());
    assertEquals(-1, dev.numaNode());

    assertTrue(dev.warnOnce(m.mm.printk(), true, "f: x"));
    assertTrue(dev.warnOnce(m.mm.printk(), true, "f: x"));
    assertFalse(dev.warnOnce(m.mm.printk(), false, "f: y"));
    assertEquals(List.of("f: x"), m.warnings());
  }

  /**
   * The first words of a namespace are read and written, up to what is enabled.
   *
   * <pre>
   *   1G       +4K      +8K
   *   |        |abcd    |    enabled: 8 KiB
   * </pre>
   *
   * Expect each word at its place, the last one too, and a WARN for the one behind it.
   */
  @Test
  void nsioRwBytes_upToTheEnd_works() {
    Resource res = new Resource(GIB, 2 * GIB - 1, "n", Resource.IORESOURCE_MEM, 0);
    NdNamespaceIo ndns = new NdNamespaceIo(m.mm, m.iomem, "namespace0.0", 0, res);
    assertEquals(0, ndns.devmNsioEnable(dev, 8192));

    assertEquals(0, ndns.writeBytes(4096, new long[] {1, 2, 3}));
    assertEquals(0, ndns.writeBytes(8184, new long[] {9}));
    assertEquals(2, m.machine.memory().getLong(GIB + 4104));
    assertEquals(3, m.machine.memory().getLong(GIB + 4112));
    assertEquals(9, m.machine.memory().getLong(GIB + 8184));
    long[] words = new long[2];
    assertEquals(0, ndns.readBytes(4104, words));
    assertEquals(2, words[0]);
    assertEquals(3, words[1]);
    assertTrue(m.warnings().isEmpty());
    assertEquals(-Errno.EFAULT, ndns.readBytes(8184, words));
    assertEquals(List.of("nsio_rw_bytes: request out of range"), m.warnings());
  }

  /** The first bytes of a namespace are in use. Expect a line with the range, and -EBUSY. */
  @Test
  void nsioEnable_inUse_saysSo() {
    Resource res = new Resource(GIB, 2 * GIB - 1, "n", Resource.IORESOURCE_MEM, 0);
    NdNamespaceIo ndns = new NdNamespaceIo(m.mm, m.iomem, "namespace0.0", 0, res);
    m.occupy(GIB);

    assertEquals(-Errno.EBUSY, ndns.devmNsioEnable(dev, 8192));
    assertTrue(
        m.log().getLast().startsWith("dev: could not reserve region [mem 0x40000000-0x7fffffff"));
  }

  /** Two words written where one is enabled. Expect -EFAULT, and neither written. */
  @Test
  void nsioWriteBytes_overTheEnd_isRefused() {
    Resource res = new Resource(GIB, 2 * GIB - 1, "n", Resource.IORESOURCE_MEM, 0);
    NdNamespaceIo ndns = new NdNamespaceIo(m.mm, m.iomem, "namespace0.0", 0, res);
    assertEquals(0, ndns.devmNsioEnable(dev, 8192));
    assertEquals(0, ndns.writeBytes(8184, new long[] {5}));

    assertEquals(-Errno.EFAULT, ndns.writeBytes(8184, new long[] {6, 7}));
    assertEquals(5, m.machine.memory().getLong(GIB + 8184));
  }
}
