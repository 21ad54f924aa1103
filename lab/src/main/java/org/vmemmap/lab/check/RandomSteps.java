// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;

/**
 * Draws what is done to a machine. The machine is known, its state is not: a step may fail, and what
 * a failed step leaves is looked at, too.
 */
final class RandomSteps {
  private static final String SYS = "/sys/kernel/mm/hugepages/hugepages-";
  private static final String MEMORY = "/sys/devices/system/memory/";
  private static final long KIB = 1024;
  private static final int MOST_PAGES = 40;

  private interface Kind {
    Step draw();
  }

  private final Dice dice;
  private final MachineSpec spec;
  private final List<Long> sizes;
  private final long pageSize;
  private final long firstBlock;
  private final long lastBlock;
  private final List<Kind> kinds = new ArrayList<>();

  private RandomSteps(Dice dice, MachineSpec spec) {
    this.dice = dice;
    this.spec = spec;
    this.pageSize = spec.profile().pageSize();
    long ram = spec.ramBytes();
    List<Long> fitting = Boards.hugepageSizes(spec).stream().filter(size -> size <= ram).toList();
    this.sizes = fitting.isEmpty() ? Boards.hugepageSizes(spec) : fitting;
    this.firstBlock = spec.ram().getFirst().start() / spec.memoryBlockSize();
    this.lastBlock = spec.endOfMemory() / spec.memoryBlockSize();
    kinds();
  }

  /** Up to {@code most} steps, one at least. */
  static List<Step> draw(Dice dice, MachineSpec spec, int most) {
    RandomSteps steps = new RandomSteps(dice, spec);
    List<Step> all = new ArrayList<>();
    for (long n = dice.between(1, most); n > 0; n--) {
      all.add(steps.failing(dice.pick(steps.kinds).draw()));
    }
    return all;
  }

  /** A kind stands as often in the list as it is to come. */
  private void kinds() {
    if (!sizes.isEmpty()) {
      add(6, this::pool);
      add(2, this::optimize);
      add(2, this::demote);
      add(1, this::overcommit);
      add(2, () -> new Step("map", size()));
      add(2, () -> new Step("unmap", size()));
      add(1, this::isolate);
    }
    add(2, this::block);
    add(1, () -> new Step("process", "1"));
    add(spec.softReserved().isEmpty() && spec.pmem().isEmpty() ? 0 : 6, this::dax);
    add(spec.softReserved().isEmpty() ? 0 : 2, this::kmem);
    add(spec.deviceMemory().isEmpty() ? 0 : 4, spec.arch().equals(Profile.POWERPC) ? this::lmbs : this::dimm);
  }

  private void add(int times, Kind kind) {
    for (int i = 0; i < times; i++) {
      kinds.add(kind);
    }
  }

  private Step failing(Step step) {
    if (!dice.chance(25)) {
      return step;
    }
    int n = 1 + dice.small(30);
    return step.withFailing(dice.chance(60) ? Selection.only(n) : Selection.from(n));
  }

  // ---- hugepages ----

  private String size() {
    return dice.pick(sizes) / KIB + "K";
  }

  private static String folder(long size) {
    return "hugepages-" + size / KIB + "kB/";
  }

  private String node() {
    int nodes = spec.ram().stream().mapToInt(Ram::node).max().orElse(0);
    return "/sys/devices/system/node/node" + dice.below(nodes + 1) + "/hugepages/";
  }

  private Step pool() {
    long size = dice.pick(sizes);
    long fitting = Math.min(MOST_PAGES, spec.ramBytes() / size);
    String count = Long.toString(dice.chance(25) ? 0 : dice.between(0, fitting + 1));
    String path =
        switch (dice.below(4)) {
          case 0 -> node() + folder(size) + "nr_hugepages";
          case 1 -> "/proc/sys/vm/nr_hugepages";
          default -> SYS + size / KIB + "kB/nr_hugepages";
        };
    return Step.write(path, count);
  }

  private Step optimize() {
    return Step.write("/proc/sys/vm/hugetlb_optimize_vmemmap", Integer.toString(dice.below(2)));
  }

  private Step demote() {
    long size = dice.pick(sizes);
    if (dice.chance(20)) {
      String to = dice.pick(sizes) / KIB + "kB";
      return Step.write(SYS + size / KIB + "kB/demote_size", to);
    }
    String folder = dice.chance(30) ? node() : "/sys/kernel/mm/hugepages/";
    return Step.write(folder + folder(size) + "demote", Long.toString(dice.between(1, 4)));
  }

  private Step overcommit() {
    long size = dice.pick(sizes);
    return Step.write(SYS + size / KIB + "kB/nr_overcommit_hugepages", "" + dice.below(5));
  }

  private Step isolate() {
    Ram range = dice.pick(spec.ram());
    long pages = range.size() / pageSize;
    long from = dice.between(0, pages - 1);
    long count = Math.min(pages - from, dice.between(1, 1024));
    return new Step("isolate", range.start() / pageSize + from + " " + count);
  }

  // ---- memory blocks ----

  private Step block() {
    if (dice.chance(15)) {
      return Step.write(
          MEMORY + "auto_online_blocks",
          dice.word("online", "offline", "online_kernel", "online_movable"));
    }
    String file = MEMORY + "memory" + dice.between(firstBlock, lastBlock) + "/state";
    String word = dice.word("online", "online_kernel", "online_movable", "offline", "offline");
    return Step.write(file, word);
  }

  private Step dimm() {
    Ram range = dice.pick(spec.deviceMemory());
    String start = "0x" + Long.toHexString(range.start());
    if (dice.chance(40)) {
      return new Step("eject", start);
    }
    return new Step("dimm", start + " 0x" + Long.toHexString(range.size()) + " " + range.node());
  }

  private Step lmbs() {
    Ram range = dice.pick(spec.deviceMemory());
    String all = "0x%x 0x%x".formatted(range.start(), range.size());
    return dice.chance(60) ? new Step("lmbs", all + " " + range.node()) : new Step("unlmbs", all);
  }

  // ---- devices ----

  private Ram device() {
    List<Ram> all = new ArrayList<>(spec.softReserved());
    all.addAll(spec.pmem());
    return dice.pick(all);
  }

  private Step dax() {
    Ram range = device();
    long start = range.start();
    if (dice.chance(40)) {
      return new Step("unbind", "0x" + Long.toHexString(start));
    }
    long align = align();
    long size = range.size();
    if (dice.chance(40) && size > 2 * align) {
      start += dice.between(0, size / align / 2) * align;
      size = dice.between(1, (range.end() - start) / align) * align;
    }
    String map = spec.pmem().contains(range) && dice.chance(50) ? "dev" : "mem";
    return new Step("bind", "0x%x 0x%x 0x%x %s".formatted(start, size, align, map));
  }

  private long align() {
    return sizes.isEmpty() || dice.chance(30) ? pageSize : dice.pick(sizes);
  }

  private Step kmem() {
    Ram range = dice.pick(spec.softReserved());
    String start = "0x" + Long.toHexString(range.start());
    if (dice.chance(20)) {
      return new Step("state", start + " " + dice.word("unplugged", "online_movable"));
    }
    if (dice.chance(30)) {
      return new Step("unkmem", start);
    }
    String rest = " 0x" + Long.toHexString(range.size()) + " " + range.node();
    return new Step("kmem", start + rest + " " + dice.word("yes", "no"));
  }
}
