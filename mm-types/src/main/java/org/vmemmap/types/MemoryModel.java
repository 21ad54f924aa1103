// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.vmemmap.machine.Machine;

/** Conversions between pfns, struct pages, physical and linear addresses. */
@Kernel(file = "include/asm-generic/memory_model.h", symbol = "__pfn_to_page")
public final class MemoryModel {
  private final long vmemmapBase;
  private final int sizeofStructPage;
  private final int pageShift;
  private final long linearBase;

  MemoryModel(Machine machine, MmConfig config, long vmemmapBase) {
    this.vmemmapBase = vmemmapBase;
    this.sizeofStructPage = config.sizeofStructPage();
    this.pageShift = machine.format().pageShift();
    this.linearBase = machine.linearBase();
  }

  /** {@code vmemmap}: the address of the descriptor of pfn 0. */
  public long vmemmapBase() {
    return vmemmapBase;
  }

  /** {@code pfn_to_page()}: pure arithmetic, the descriptor need not exist. */
  @Kernel(file = "include/asm-generic/memory_model.h", symbol = "__pfn_to_page")
  public Page pfnToPage(long pfn) {
    return new Page(vmemmapBase + pfn * sizeofStructPage);
  }

  /** {@code page_to_pfn()}. */
  @Kernel(file = "include/asm-generic/memory_model.h", symbol = "__page_to_pfn")
  public long pageToPfn(Page page) {
    return (page.va() - vmemmapBase) / sizeofStructPage;
  }

  /** {@code __va()}: the linear address of a physical one. */
  @Kernel(file = "arch/x86/include/asm/page.h", symbol = "__va", fidelity = Kernel.Fidelity.CUSTOM, why = "The machine's linear window stands for the direct map of every architecture.")
  public long va(long paddr) {
    return linearBase + paddr;
  }

  /** {@code __pa()}: the physical address of a linear one. */
  @Kernel(file = "arch/x86/include/asm/page.h", symbol = "__pa", fidelity = Kernel.Fidelity.CUSTOM, why = "The machine's linear window stands for the direct map of every architecture.")
  public long pa(long va) {
    return va - linearBase;
  }

  /** {@code PFN_PHYS()}. */
  @Kernel(file = "include/linux/pfn.h", symbol = "PFN_PHYS")
  public long pfnPhys(long pfn) {
    return pfn << pageShift;
  }

  /** {@code PHYS_PFN()}. */
  @Kernel(file = "include/linux/pfn.h", symbol = "PHYS_PFN")
  public long physPfn(long paddr) {
    return paddr >>> pageShift;
  }

  /** {@code PFN_UP()}. */
  @Kernel(file = "include/linux/pfn.h", symbol = "PFN_UP")
  public long pfnUp(long paddr) {
    return (paddr + (1L << pageShift) - 1) >>> pageShift;
  }

  /** {@code get_order()}: the least order whose block holds {@code size} bytes, at least 1. */
  @Kernel(file = "include/asm-generic/getorder.h", symbol = "get_order")
  public int getOrder(long size) {
    return Long.SIZE - Long.numberOfLeadingZeros((size - 1) >>> pageShift);
  }

  /** {@code virt_to_page()} for a linear address. */
  @Kernel(file = "arch/x86/include/asm/page.h", symbol = "virt_to_page", fidelity = Kernel.Fidelity.CUSTOM, why = "A macro of each architecture's page.h.")
  public Page virtToPage(long va) {
    return pfnToPage(physPfn(pa(va)));
  }

  /** {@code page_address()}, {@code page_to_virt()}: the linear address of the page's bytes. */
  @Kernel(file = "include/linux/mm.h", symbol = "page_to_virt")
  public long pageAddress(Page page) {
    return va(pfnPhys(pageToPfn(page)));
  }

  /** PAGE_SIZE in bytes. */
  public long pageSize() {
    return 1L << pageShift;
  }

  /** PAGE_SHIFT. */
  public int pageShift() {
    return pageShift;
  }
}
