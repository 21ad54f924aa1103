// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

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
}
