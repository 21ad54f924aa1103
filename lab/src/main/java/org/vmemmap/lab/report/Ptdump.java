// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.lab.observe.MemmapWalk;
import org.vmemmap.lab.observe.PageTableWalker;
import org.vmemmap.lab.observe.ZoneTails;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * The page tables of the memmap in the columns of the kernel's
 * /sys/kernel/debug/page_tables/kernel, with one more column for the frames. Neighbours that look
 * alike are one line.
 *
 * <pre>
 *   0xffffea0004000000-0xffffea0004001000   4K   RW    GLB NX pte 0x1fe00
 *   0xffffea0004001000-0xffffea0004008000  28K   ro    GLB NX pte 0x1fdff shared tail 0/Normal/9
 *   * 63 more of these 2 up to 0xffffea0004200000
 * </pre>
 */
@Kernel(file = "arch/x86/mm/dump_pagetables.c", symbol = "struct pg_state")
public final class Ptdump {
  private static final int USER = 2;
  private static final int PWT = 3;
  private static final int PCD = 4;
  private static final int PSE = 7;
  private static final int GLOBAL = 8;
  private static final int PAT_LARGE = 12;
  private static final int LONGEST_GROUP = 4;

  private final Mm mm;
  private final PageTableFormat format;
  private final ZoneTails tails;
  private final List<Run> runs = new ArrayList<>();
  private long start;
  private long end;
  private int level = -1;
  private long flags;
  private long firstFrame;
  private long lastFrame;
  private long frames;

  private Ptdump(Mm mm) {
    this.mm = mm;
    this.format = mm.machine().format();
    this.tails = new ZoneTails(mm);
  }

  /** The dump of the whole memmap; the last line counts the lines. */
  public static String of(Mm mm) {
    Ptdump dump = new Ptdump(mm);
    long base = mm.model().vmemmapBase();
    new PageTableWalker(mm).walk(base, MemmapWalk.areaEnd(mm), dump::notePage);
    dump.flush();
    return dump.print();
  }

  /**
   * A finished run.
   *
   * @param end first address behind it
   * @param alike what must be equal in two runs that look alike
   * @param line the line without its first address
   */
  private record Run(long start, long end, String alike, String line) {}

  private String print() {
    StringBuilder text = new StringBuilder("---[ Vmemmap ]---\n");
    for (int at = 0; at < runs.size(); ) {
      int period = period(at);
      for (int i = 0; i < period; i++) {
        text.append(runs.get(at + i).line()).append('\n');
      }
      int more = repeats(at, period) - 1;
      at += period;
      if (more > 1) {
        at += more * period;
        text.append(
            "* %d more of these %d up to 0x%016x%n"
                .formatted(more, period, runs.get(at - 1).end()));
      }
    }
    return text.append(runs.size()).append(runs.size() == 1 ? " run\n" : " runs\n").toString();
  }

  /** The shortest group from here on that is there three times; 1 when there is none. */
  private int period(int at) {
    for (int period = 1; period <= LONGEST_GROUP; period++) {
      if (repeats(at, period) > 2) {
        return period;
      }
    }
    return 1;
  }

  private int repeats(int at, int period) {
    int next = at + period;
    while (next < runs.size()
        && runs.get(next).alike().equals(runs.get(next - period).alike())
        && runs.get(next).start() == runs.get(next - 1).end()) {
      next++;
    }
    return (next - at) / period;
  }

  /** One leaf: joins the run or ends it. */
  @Kernel(
      file = "arch/x86/mm/dump_pagetables.c",
      symbol = "note_page",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Runs also end where the pattern of frames changes.")
  private void notePage(int atLevel, long va, long entry) {
    long frame = format.address(entry, atLevel) >>> format.pageShift();
    long entryFlags = format.flags(entry, atLevel);
    boolean alike = atLevel == level && entryFlags == flags && va == end;
    if (alike && frame == lastFrame && frames > 1) {
      giveLastPageToANewRun();
    } else if (alike && joins(frame)) {
      frames += frame == lastFrame ? 0 : 1;
    } else {
      flush();
      start = va;
      level = atLevel;
      flags = entryFlags;
      firstFrame = frame;
      frames = 1;
    }
    lastFrame = frame;
    end = va + (1L << format.shift(atLevel));
  }

  /** The last page of a run of different frames turns out to be the first of a shared one. */
  private void giveLastPageToANewRun() {
    end -= 1L << format.shift(level);
    frames--;
    flush();
    start = end;
    firstFrame = lastFrame;
    frames = 1;
  }

  /** A frame that the last page has too stays with it; different ones are a run of their own. */
  private boolean joins(long frame) {
    boolean oneSoFar = end - start == 1L << format.shift(level);
    return oneSoFar || (frame == lastFrame) == (frames == 1);
  }

  private void flush() {
    if (level < 0) {
      return;
    }
    String size = printSize(end - start);
    StringBuilder alike = new StringBuilder(size);
    printkProt(alike);
    ZoneTails.Slot tail = tails.ofFrame(firstFrame);
    if (frames > 1) {
      alike.append("... ").append(frames).append(" frames");
    } else if (tail != null) {
      alike.append(" shared tail ").append(tail.name());
    } else if (level == 0 && end - start > mm.model().pageSize()) {
      alike.append(" shared");
    }
    StringBuilder line = new StringBuilder("0x%016x-0x%016x %s ".formatted(start, end, size));
    printkProt(line);
    line.append(" 0x").append(Long.toHexString(firstFrame));
    int prot = alike.indexOf(format.levelName(level)) + format.levelName(level).length();
    line.append(alike, prot, alike.length());
    runs.add(new Run(start, end, alike.toString(), line.toString()));
  }

  private static String printSize(long bytes) {
    long kib = bytes >> 10;
    return kib % 1024 == 0 ? "%9dM".formatted(kib / 1024) : "%9dK".formatted(kib);
  }

  @Kernel(file = "arch/x86/mm/dump_pagetables.c", symbol = "printk_prot")
  private void printkProt(StringBuilder text) {
    text.append(bit(USER) ? "USR " : "    ");
    text.append(format.writable(flags, level) ? "RW " : "ro ");
    text.append(bit(PWT) ? "PWT " : "    ");
    text.append(bit(PCD) ? "PCD " : "    ");
    text.append(level > 0 && bit(PSE) ? "PSE " : "    ");
    text.append(bit(level == 0 ? PSE : PAT_LARGE) ? "PAT " : "    ");
    text.append(bit(GLOBAL) ? "GLB " : "    ");
    text.append(format.executable(flags, level) ? "x  " : "NX ");
    text.append(format.levelName(level));
  }

  private boolean bit(int number) {
    return (flags >>> number & 1) != 0;
  }
}
