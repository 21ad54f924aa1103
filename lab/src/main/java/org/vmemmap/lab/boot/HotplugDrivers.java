// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.vmemmap.arch.powerpc.PseriesHotplugMemory;
import org.vmemmap.arch.x86.AcpiMemhotplug;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Mm;

/** Memory that somebody outside of the kernel plugs: DIMMs by ACPI, LMBs by the hypervisor. */
public final class HotplugDrivers {
  private final AcpiMemhotplug acpi;
  private final PseriesHotplugMemory dlpar;
  private final Map<Long, AcpiMemhotplug.AcpiMemoryDevice> dimms = new HashMap<>();
  private final Map<Long, Integer> rooms = new HashMap<>();

  HotplugDrivers(Mm mm, Memblock memblock, HotplugSystem hotplug) {
    this.acpi = new AcpiMemhotplug(mm, hotplug);
    this.dlpar = new PseriesHotplugMemory(mm, memblock, hotplug);
  }

  /** Plugs a DIMM of {@code size} bytes: 0, or what the driver's __add_memory() returned. */
  public int plugDimm(long start, long size, int node) {
    AcpiMemhotplug.AcpiMemoryDevice dimm =
        new AcpiMemhotplug.AcpiMemoryDevice(node, List.of(new Range(start, start + size - 1)));
    int rc = acpi.plug(dimm);
    if (rc == 0) {
      dimms.put(start, dimm);
    }
    return rc != 0 && dimm.addResult() != 0 ? dimm.addResult() : rc;
  }

  /** Takes it away: 0, -EBUSY, or -ENODEV for no such DIMM. */
  public int ejectDimm(long start) {
    AcpiMemhotplug.AcpiMemoryDevice dimm = dimms.get(start);
    int rc = dimm == null ? -Errno.ENODEV : acpi.eject(dimm);
    if (rc == 0) {
      dimms.remove(start);
    }
    return rc;
  }

  /** The hypervisor offers LMBs of {@code chunk} bytes: 0 or -EINVAL. */
  public int addLmbs(long start, long size, long chunk, int node) {
    int drc = rooms.computeIfAbsent(start, any -> dlpar.addRoom(start, size, node));
    return dlpar.dlparMemoryAddByIc((int) (size / chunk), drc);
  }

  /** The hypervisor wants them back: 0 or -EINVAL. */
  public int removeLmbs(long start, long size, long chunk) {
    Integer drc = rooms.get(start);
    return drc == null
        ? -Errno.EINVAL
        : dlpar.dlparMemoryRemoveByIc((int) (size / chunk), drc);
  }
}
