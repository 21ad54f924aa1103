// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.lab.observe.MemmapWalk;
import org.vmemmap.lab.observe.PageTableWalker;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.Mmu;
import org.vmemmap.machine.PageTableFormat;

/**
 * The bytes and the frame that a broken rule is about, as the words of what was found name them.
 *
 * <pre>
 *   pfn=0x..     its struct page, the entry that maps that, and the owner of the page
 *   frame=0x..   what is in it, the entries of the memmap that map it, and its owner
 *   va=0x..      the entry of that address
 *   WARNING: ..  the warning
 * </pre>
 *
 * @param what the first of these words; empty when there is none
 * @param bytes where they are
 * @param frame whose owner matters; -1 for none
 */
record Concern(String what, List<Bytes> bytes, long frame) {
  /** About nothing in memory: a counter, or a step as a whole. */
  static final Concern NONE = new Concern("", List.of(), -1);

  private static final String WARNING = "WARNING: ";

  private static final Pattern NAMED = Pattern.compile("\\b(pfn|frame|va)=0x([0-9a-f]{1,16})\\b");

  /** Physical addresses from {@code start} to {@code end} - 1. */
  record Bytes(long start, long end) {}

  /** That of {@code found}, on the machine as it is now. */
  static Concern of(LabKernel kernel, String found) {
    if (found.startsWith(WARNING)) {
      return new Concern(found, List.of(), -1);
    }
    Matcher matcher = NAMED.matcher(found);
    String what = "";
    long frame = -1;
    List<Bytes> bytes = new ArrayList<>();
    while (matcher.find()) {
      what = what.isEmpty() ? matcher.group() : what;
      long number = Long.parseUnsignedLong(matcher.group(2), 16);
      switch (matcher.group(1)) {
        case "pfn" -> bytes.addAll(structPage(kernel, number));
        case "frame" -> bytes.addAll(frame(kernel, number));
        default -> bytes.addAll(entry(kernel.mm().machine(), number));
      }
      frame = frame < 0 && !matcher.group(1).equals("va") ? number : frame;
    }
    return new Concern(what, List.copyOf(bytes), frame);
  }

  private static List<Bytes> structPage(LabKernel kernel, long pfn) {
    MemmapReader reader = new MemmapReader(kernel.mm());
    long va = reader.address(pfn);
    long paddr = reader.paddr(va);
    List<Bytes> bytes = new ArrayList<>(entry(kernel.mm().machine(), va));
    if (paddr >= 0) {
      bytes.add(new Bytes(paddr, paddr + kernel.mm().config().sizeofStructPage()));
    }
    return bytes;
  }

  private static List<Bytes> frame(LabKernel kernel, long frame) {
    PageTableWalker walker = new PageTableWalker(kernel.mm());
    PageTableFormat format = walker.format();
    int shift = format.pageShift();
    List<Bytes> bytes = new ArrayList<>(List.of(new Bytes(frame << shift, (frame + 1) << shift)));
    walker.walk(
        kernel.mm().model().vmemmapBase(),
        MemmapWalk.areaEnd(kernel.mm()),
        (level, va, entry) -> {
          long inside = frame - (format.address(entry, level) >>> shift);
          if (inside >= 0 && inside < 1L << (format.shift(level) - shift)) {
            bytes.addAll(entry(kernel.mm().machine(), va));
          }
        });
    return bytes;
  }

  /** Nothing where there are no page tables. */
  private static List<Bytes> entry(Machine machine, long va) {
    if (machine.bolted() != null) {
      return List.of();
    }
    Mmu.Entry entry = machine.mmu().walk(machine.cpu().root(), va);
    return List.of(new Bytes(entry.entryPaddr(), entry.entryPaddr() + Long.BYTES));
  }

  /** True when it is about some of the {@code n} bytes at {@code paddr}. */
  boolean with(long paddr, long n) {
    for (Bytes each : bytes) {
      if (paddr < each.end() && each.start() < paddr + n) {
        return true;
      }
    }
    return false;
  }

  /** True when it is about one of the {@code n} frames from {@code first}. */
  boolean withFrame(long first, long n) {
    return frame >= first && frame < first + n;
  }
}
