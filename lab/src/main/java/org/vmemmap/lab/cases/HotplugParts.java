// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.sparse.MemoryBlock;

/** Memory hotplug as cases do it: plug, put blocks online and offline, unplug. */
final class HotplugParts {
  private static final String DIR = "/sys/devices/system/memory/";
  private static final String AUTO = DIR + "auto_online_blocks";

  private final LabKernel kernel;
  private final long blockSize;
  private VmemmapCase.@Nullable AddMemory added;
  private @Nullable Integer dlparRemoved;

  HotplugParts(LabKernel kernel) {
    this.kernel = kernel;
    this.blockSize = kernel.spec().memoryBlockSize();
  }

  /** The memory that was plugged; null for none. */
  VmemmapCase.@Nullable AddMemory added() {
    return added;
  }

  /**
   * True when the memmap of the memory lies in it. A block may have an altmap that nobody used: on
   * powerpc a leaf that reaches beyond boot memory holds its memmap already.
   */
  boolean selfHosted() {
    VmemmapCase.AddMemory memory = added;
    if (memory == null) {
      return false;
    }
    long start = memory.start() / pageSize();
    long frame = new MemmapReader(kernel.mm()).frame(start);
    return frame >= start && frame < start + memory.size() / pageSize();
  }

  /** Plugs memory. */
  Map<String, Object> add(VmemmapCase.AddMemory memory) {
    String before = String.valueOf(kernel.read(AUTO));
    boolean blocksFollow = memory.source().equals("kmem") || memory.source().equals("dimm");
    if (blocksFollow && !memory.online().equals("no")) {
      kernel.write(AUTO, "online_" + memory.online());
    }
    int rc =
        switch (memory.source()) {
          case "kmem" ->
              kernel
                  .dax()
                  .bindKmem(
                      kernel.hotplug(),
                      memory.start(),
                      memory.size(),
                      memory.node(),
                      memory.memmapOnMemory());
          case "dimm" ->
              kernel.hotplugDrivers().plugDimm(memory.start(), memory.size(), memory.node());
          default ->
              kernel
                  .hotplugDrivers()
                  .addLmbs(memory.start(), memory.size(), memory.chunk(), memory.node());
        };
    kernel.write(AUTO, before);
    added = memory;
    Map<String, Object> results = new LinkedHashMap<>();
    results.put("rc", rc);
    List<String> states = new ArrayList<>();
    long first = memory.start() / blockSize;
    for (long block = first; block < first + memory.size() / blockSize; block++) {
      states.add(state(block) + " " + kernel.read(file(block) + "valid_zones"));
    }
    results.put(
        "blocks",
        Map.of("first", first, "count", (long) states.size(), "states", states));
    return results;
  }

  private static String file(long block) {
    return DIR + "memory" + block + "/";
  }

  /** A block that is gone is not in use either. */
  private String state(long block) {
    String state = kernel.read(file(block) + "state");
    return state == null ? "offline" : state;
  }

  /** Puts blocks online or offline by writing to their files, from the lowest on. */
  Map<String, Object> change(VmemmapCase.Blocks blocks, VmemmapCase.Step step) {
    VmemmapCase.RemoveMemory removal = blocks.online() ? null : dlparRemoval(step);
    int logged = kernel.mm().printk().lines().size();
    int rc = 0;
    if (removal != null) {
      rc = removeLmbs(removal, step);
    } else {
      String word = !blocks.online() ? "offline" : "online_" + blocks.to();
      for (long block = blocks.first(); block < blocks.first() + blocks.count(); block++) {
        int one = kernel.write(file(block) + "state", word);
        rc = rc == 0 ? one : rc;
      }
    }
    List<String> states = new ArrayList<>();
    for (long block = blocks.first(); block < blocks.first() + blocks.count(); block++) {
      states.add(state(block));
    }
    Map<String, Object> results = new LinkedHashMap<>();
    results.put("rc", rc);
    results.put("states", states);
    List<String> messages = new ArrayList<>();
    kernel
        .mm()
        .printk()
        .lines()
        .subList(logged, kernel.mm().printk().lines().size())
        .forEach(line -> messages.add(line.text()));
    results.put("messages", messages);
    return results;
  }

  /** DLPAR takes LMBs offline and removes them in one request, which a case tells as two. */
  private static VmemmapCase.@Nullable RemoveMemory dlparRemoval(VmemmapCase.Step step) {
    for (VmemmapCase.Operation operation : step.operations()) {
      if (operation.args() instanceof VmemmapCase.RemoveMemory removal
          && removal.source().equals("dlpar")) {
        return removal;
      }
    }
    return null;
  }

  /**
   * A request that failed because of an unmovable page somewhere in the memory: where it lay is an
   * input, as the case format says. Here it lies in the last block.
   */
  private int removeLmbs(VmemmapCase.RemoveMemory removal, VmemmapCase.Step step) {
    if (givenAsFailed(step)) {
      long pfn = (removal.start() + removal.size() - blockSize / 2) / pageSize();
      kernel.pageAlloc().allocContigRange(pfn, pfn + 1, false, Gfp.KERNEL);
    }
    int rc =
        kernel.hotplugDrivers().removeLmbs(removal.start(), removal.size(), removal.chunk());
    dlparRemoved = rc;
    return rc;
  }

  private long pageSize() {
    return kernel.mm().model().pageSize();
  }

  private static boolean givenAsFailed(VmemmapCase.Step step) {
    for (VmemmapCase.Operation operation : step.operations()) {
      JsonNode removed = operation.results().get("removed");
      if (removed != null && removed.toString().equals("false")) {
        return true;
      }
    }
    return false;
  }

  /** Unplugs memory. */
  Map<String, Object> remove(VmemmapCase.RemoveMemory removal, VmemmapCase.Step step) {
    Integer done = dlparRemoved;
    dlparRemoved = null;
    int rc =
        switch (removal.source()) {
          case "kmem" -> kernel.dax().unbindKmem(removal.start());
          case "dimm" -> kernel.hotplugDrivers().ejectDimm(removal.start());
          default -> done != null ? done : removeLmbs(removal, step);
        };
    boolean[] left = {false};
    kernel
        .hotplug()
        .blocks()
        .walkMemoryBlocks(
            removal.start(),
            removal.size(),
            mem -> {
              left[0] |= mem.state() != MemoryBlock.MEM_GOING_OFFLINE;
              return 0;
            });
    Map<String, Object> results = new LinkedHashMap<>();
    results.put("rc", rc);
    results.put("removed", !left[0]);
    return results;
  }
}
