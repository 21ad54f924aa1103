// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.MemoryType;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.Printk;
import org.vmemmap.types.StructPage;

/**
 * Device DAX: the driver that lets processes map a device with one page size, its alignment.
 *
 * <pre>
 *   dev_dax_probe()   claim the ranges -> struct pages, compound of the alignment -> alive
 *   fault             folio->mapping and index set, one reference and one map count more
 *   unbind            dead, unmapped -> struct pages gone -> ranges given back
 * </pre>
 */
@Kernel(file = "drivers/dax/device.c", symbol = "device_dax_driver")
public final class DeviceDax implements DaxDeviceDriver {
  /** Results of a fault, as the kernel names them. */
  @Kernel(file = "include/linux/mm_types.h", symbol = "enum vm_fault_reason")
  public enum VmFault {
    VM_FAULT_NOPAGE,
    VM_FAULT_SIGBUS,
    VM_FAULT_FALLBACK
  }

  private final Mm mm;
  private final Printk printk;
  private final Slab slab;
  private final IomemResource iomem;
  private final Memremap memremap;
  private final Bus bus;

  /** Ties the driver to a machine; it is not registered yet. */
  DeviceDax(Mm mm, Slab slab, IomemResource iomem, Memremap memremap, Bus bus) {
    this.mm = mm;
    this.printk = mm.printk();
    this.slab = slab;
    this.iomem = iomem;
    this.memremap = memremap;
    this.bus = bus;
  }

  @Override
  public String name() {
    return "device_dax";
  }

  @Override
  public Type type() {
    return Type.DAXDRV_DEVICE_TYPE;
  }

  /**
   * {@code __check_vma()}: whether a process may map the device there.
   *
   * @param start first address of the mapping
   * @param end first address behind it
   * @param shared MAP_SHARED
   * @return 0, -ENXIO when no driver is bound, -EINVAL when private or misaligned
   */
  @Kernel(file = "drivers/dax/device.c", symbol = "__check_vma")
  int checkVma(DevDax devDax, long start, long end, boolean shared) {
    if (!devDax.daxDev.daxAlive()) {
      return -Errno.ENXIO;
    }
    if (!shared) {
      printk.prInfo(devDax.name() + ": fail, attempted private mapping");
      return -Errno.EINVAL;
    }
    long mask = devDax.align - 1;
    if ((start & mask) != 0 || (end & mask) != 0) {
      printk.prInfo(
          "%s: fail, unaligned vma (0x%x - 0x%x, 0x%x)"
              .formatted(devDax.name(), start, end, mask));
      return -Errno.EINVAL;
    }
    return 0;
  }

  @Kernel(file = "drivers/dax/device.c", symbol = "dax_set_mapping")
  private void daxSetMapping(DevDax devDax, long pgoff, long pfn, long faultSize) {
    DevPagemap pgmap = devDax.pgmap;
    long nrPages = faultSize >>> mm.model().pageShift();
    if (pgmap != null && pgmap.vmemmapShift != 0) {
      // Only the head of a compound page has a mapping.
      nrPages = 1;
    }
    for (long i = 0; i < nrPages; i++) {
      Page head = mm.flags().pageFolio(mm.model().pfnToPage(pfn + i)).page();
      if (mm.struct().mapping(head) != 0) {
        continue;
      }
      mm.struct().setMapping(head, devDax.daxDev.mapping());
      mm.struct().setWord(head, StructPage.INDEX, pgoff + i);
    }
  }

  /**
   * The common part of {@code __dev_dax_pte_fault()}, {@code _pmd_fault()} and
   * {@code _pud_fault()}.
   */
  private VmFault fault(DevDax devDax, long address, long pgoff, long faultSize) {
    if (checkVma(devDax, address & -faultSize, (address & -faultSize) + faultSize, true) != 0) {
      return VmFault.VM_FAULT_SIGBUS;
    }
    if (devDax.align > faultSize) {
      return VmFault.VM_FAULT_SIGBUS;
    }
    if (faultSize > devDax.align) {
      return VmFault.VM_FAULT_FALLBACK;
    }
    long phys = bus.daxPgoffToPhys(devDax, pgoff, faultSize);
    if (phys == -1) {
      return VmFault.VM_FAULT_SIGBUS;
    }
    long pfn = mm.model().physPfn(phys);
    daxSetMapping(devDax, pgoff, pfn, faultSize);
    return insertFolio(devDax, pfn, faultSize);
  }

  /** {@code vmf_insert_folio_pmd()} and its like: one entry maps the whole folio. */
  @Kernel(
      file = "mm/huge_memory.c",
      symbol = "vmf_insert_folio_pmd",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Enters the folio into the device's list of mappings in place of a page table.")
  private VmFault insertFolio(DevDax devDax, long pfn, long faultSize) {
    Folio folio = mm.flags().pageFolio(mm.model().pfnToPage(pfn));
    int order = Long.numberOfTrailingZeros(faultSize) - mm.model().pageShift();
    if (printk.warnOnOnce(
        order != 0 && mm.inline().folioOrder(folio) != order,
        "vmf_insert_folio_pmd: folio_order(folio) != PMD_ORDER")) {
      return VmFault.VM_FAULT_SIGBUS;
    }
    mm.refs().getPage(folio.page());
    new DaxRmap(mm).folioAddFileRmap(folio);
    devDax.daxDev.mapped().add(new DaxDevice.Mapped(folio, 1L << order));
    return VmFault.VM_FAULT_NOPAGE;
  }

  /**
   * {@code dev_dax_huge_fault()}: a process touches {@code address}, which maps page {@code pgoff}
   * of the device.
   *
   * @param order 0, or that of a pmd or pud leaf
   */
  @Kernel(file = "drivers/dax/device.c", symbol = "dev_dax_huge_fault")
  VmFault devDaxHugeFault(DevDax devDax, long address, long pgoff, int order) {
    int pageShift = mm.model().pageShift();
    int pmdOrder = Long.numberOfTrailingZeros(mm.pgtable().pmdSize()) - pageShift;
    int pudOrder = Long.numberOfTrailingZeros(mm.pgtable().pudSize()) - pageShift;
    if (order == 0) {
      return devDaxPteFault(devDax, address, pgoff);
    } else if (order == pmdOrder) {
      return devDaxPmdFault(devDax, address, pgoff);
    } else if (order == pudOrder) {
      return devDaxPudFault(devDax, address, pgoff);
    }
    return VmFault.VM_FAULT_SIGBUS;
  }

  @Kernel(file = "drivers/dax/device.c", symbol = "__dev_dax_pte_fault")
  private VmFault devDaxPteFault(DevDax devDax, long address, long pgoff) {
    return fault(devDax, address, pgoff, mm.model().pageSize());
  }

  @Kernel(file = "drivers/dax/device.c", symbol = "__dev_dax_pmd_fault")
  private VmFault devDaxPmdFault(DevDax devDax, long address, long pgoff) {
    return fault(devDax, address, pgoff, mm.pgtable().pmdSize());
  }

  @Kernel(file = "drivers/dax/device.c", symbol = "__dev_dax_pud_fault")
  private VmFault devDaxPudFault(DevDax devDax, long address, long pgoff) {
    return fault(devDax, address, pgoff, mm.pgtable().pudSize());
  }

  @Kernel(file = "drivers/dax/device.c", symbol = "dev_dax_kill")
  private void devDaxKill(DevDax devDax) {
    bus.killDevDax(devDax);
  }

  /** The {@link DevPagemap} of a dynamic device: null (and the error in {@code rc}) on failure. */
  private int makePgmap(DevDax devDax) {
    Device dev = devDax.dev;
    if (Bus.staticDevDax(devDax)) {
      if (devDax.ranges.size() > 1) {
        dev.warn(printk, "static pgmap / multi-range device conflict");
        return -Errno.EINVAL;
      }
      return 0;
    }
    if (devDax.pgmap != null) {
      dev.warn(printk, "dynamic-dax with pre-populated page map");
      return -Errno.EINVAL;
    }
    int extra = devDax.ranges.size() - 1;
    long va = dev.devmKzalloc(mm, slab, Bus.SIZEOF_DEV_PAGEMAP + 16L * extra);
    if (va == 0) {
      return -Errno.ENOMEM;
    }
    DevPagemap pgmap = new DevPagemap(va);
    pgmap.nrRange = devDax.ranges.size();
    pgmap.ranges = devDax.ranges().toArray(Range[]::new);
    devDax.pgmap = pgmap;
    return 0;
  }

  private int requestRanges(DevDax devDax) {
    int i = 0;
    for (Range range : devDax.ranges()) {
      if (devDax.dev.devmRequestMemRegion(mm, iomem, range.start(), range.len(), devDax.name())
          == null) {
        devDax.dev.warn(
            printk,
            "mapping%d: 0x%x-0x%x could not reserve range"
                .formatted(i, range.start(), range.end()));
        return -Errno.EBUSY;
      }
      i++;
    }
    return 0;
  }

  /**
   * {@code dev_dax_probe()}: 0; -EINVAL when a pgmap of a failed attempt is still there, -EBUSY
   * when somebody uses a range, -ENOMEM, or what {@link Memremap#memremapPages} returned. What was
   * done is undone by the driver core.
   */
  @Override
  @Kernel(file = "drivers/dax/device.c", symbol = "dev_dax_probe")
  public int probe(DevDax devDax) {
    Device dev = devDax.dev;
    int rc = makePgmap(devDax);
    if (rc != 0) {
      return rc;
    }
    rc = requestRanges(devDax);
    if (rc != 0) {
      return rc;
    }
    DevPagemap pgmap = java.util.Objects.requireNonNull(devDax.pgmap);
    pgmap.type = MemoryType.MEMORY_DEVICE_GENERIC;
    if (devDax.align > mm.model().pageSize()) {
      pgmap.vmemmapShift =
          Long.numberOfTrailingZeros(devDax.align) - mm.model().pageShift();
    }
    long addr = memremap.devmMemremapPages(dev, pgmap);
    if (new Page(addr).isErr()) {
      return (int) addr;
    }
    if (mm.mayFail("cdev_add")) {
      return -Errno.ENOMEM;
    }
    // The character device itself is not modelled; its removal keeps its place in the order.
    rc = dev.devmAddActionOrReset(mm, null, () -> {});
    if (rc != 0) {
      return rc;
    }
    devDax.daxDev.runDax();
    return dev.devmAddActionOrReset(mm, devDax, () -> devDaxKill(devDax));
  }

  /** PTE, PMD or PUD level of a fault with the device's own page size, as an order. */
  int orderOf(DevDax devDax) {
    return Long.numberOfTrailingZeros(devDax.align)
        - mm.pgtable().arch().shift(Pgtable.PTE);
  }
}
