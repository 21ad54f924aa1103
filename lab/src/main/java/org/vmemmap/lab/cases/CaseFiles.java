// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges.Kind;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.cases.VmemmapCase.CaseMachine;
import org.vmemmap.lab.cases.VmemmapCase.PlacedPages;
import org.vmemmap.lab.cases.VmemmapCase.PlacedStep;
import org.vmemmap.lab.cases.VmemmapCase.Step;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Series;

/** Reads case files, schema {@value #SCHEMA}. */
public final class CaseFiles {
  /** The schema that is read. */
  public static final String SCHEMA = "vmemmap-case/1";

  private static final int POWERPC_LEVELS = 4;
  private static final Set<String> STEP_KEYS =
      Set.of("label", "do", "placement", "expect", "indicative");
  private static final Set<String> MACHINE_KEYS =
      Set.of(
          "arch",
          "mmu",
          "levels",
          "pageSize",
          "vaBits",
          "sizeofStructPage",
          "sectionSizeBits",
          "memoryBlockSize",
          "vmemmapBase",
          "vmemmapStart",
          "memstart",
          "vmemmapPageSize",
          "kaslr",
          "config",
          "ram",
          "reservedHoles",
          "softReserved",
          "pmem",
          "hotplugDimms",
          "zones",
          "zonesFrom",
          "cmdline");

  private CaseFiles() {}

  /**
   * Reads a case.
   *
   * @throws BadInput one line with file, line, column, what is wrong and what would be right
   */
  public static VmemmapCase read(Path path) {
    return parse(path.toString(), text(path));
  }

  /** The machine of a case file. Same errors as {@link #read}. */
  public static MachineSpec machine(Path path) {
    return spec(read(path).machine());
  }

  /** The text of a file. @throws BadInput when it cannot be read */
  static String text(Path path) {
    try {
      return Files.readString(path);
    } catch (IOException e) {
      throw new BadInput(path + ": cannot be read; wanted a case file");
    }
  }

  /** The machine as the bench boots it. @throws BadInput for one that it cannot boot */
  static MachineSpec spec(CaseMachine machine) {
    long block =
        machine.memoryBlockSize() == 0 ? MachineSpec.MEMORY_BLOCK_SIZE : machine.memoryBlockSize();
    return new MachineSpec(
        machine.profile(), machine.config(), machine.memory(), machine.cmdline(), block);
  }

  /** Reads a case from text; {@code file} is its name in messages. */
  static VmemmapCase parse(String file, String text) {
    return of(Fields.of(file, JsonParser.parse(file, text), "a case file"));
  }

  /** Reads a case from the members of its file. */
  static VmemmapCase of(Fields top) {
    requireSchema(top, SCHEMA);
    ShapeCheck check = new ShapeCheck(top.file());
    List<Step> steps = steps(top, check);
    return new VmemmapCase(
        top.file(),
        top.text("name"),
        top.text("family"),
        top.text("about"),
        top.hex("wordMask0"),
        machine(top.object("machine", "the machine"), steps, series(top)),
        steps);
  }

  /** The captured kernel tells which patches it has. */
  private static Series series(Fields top) {
    if (!top.has("source") || !top.object("source", "the source").has("kernel")) {
      return Series.profile("7.3");
    }
    return Series.ofBanner(top.object("source", "the source").text("kernel"));
  }

  /** Refuses a file of another schema. */
  static void requireSchema(Fields top, String wanted) {
    if (!top.text("schema").equals(wanted)) {
      throw top.wrong("schema", "\"" + wanted + "\"");
    }
  }

  private static List<Step> steps(Fields top, ShapeCheck check) {
    top.need("steps");
    List<Step> steps = top.list("steps", "a step", fields -> step(fields, check));
    if (steps.isEmpty()) {
      throw top.wrong("steps", "at least one step");
    }
    return steps;
  }

  private static Step step(Fields step, ShapeCheck check) {
    JsonNode expect = step.need("expect");
    check.check("expect", expect, Shape.EXPECT);
    step.need("do");
    return new Step(
        step.text("label"),
        step.list("do", "an operation", fields -> Operations.read(fields, check)),
        step.has("placement") ? placement(step.object("placement", "a placement")) : null,
        (JsonNode.Obj) expect,
        unknown(step, STEP_KEYS));
  }

  private static PlacedStep placement(Fields placement) {
    return new PlacedStep(
        placement.bool("exact"),
        placement.numberOr("restoredBeforeFailure", -1),
        placement.list("pages", "placed pages", CaseFiles::pages));
  }

  private static PlacedPages pages(Fields pages) {
    @Nullable String zone = pages.optionalText("zone");
    new ShapeCheck(pages.file()).check("pfns", pages.need("pfns"), new Shape.Pfns());
    List<Long> pfns = Arrays.stream(pfns(pages.need("pfns"))).boxed().toList();
    int node = pages.has("node") ? pages.small("node") : PlacedPages.ANY_NODE;
    return new PlacedPages(pages.small("order"), node, zone, pfns);
  }

  /** The numbers of a list of checked runs [first, count, step]. */
  static long[] pfns(JsonNode runs) {
    LongStream.Builder all = LongStream.builder();
    for (JsonNode run : ((JsonNode.Arr) runs).items()) {
      long[] numbers = ((JsonNode.Arr) run).items().stream().mapToLong(CaseFiles::number).toArray();
      Indexes.run(numbers[0], numbers[1], numbers[2]).forEach(all);
    }
    return all.build().toArray();
  }

  private static long number(JsonNode node) {
    return Long.parseLong(node.toString());
  }

  /** The members that {@code known} does not name. */
  static Map<String, JsonNode> unknown(Fields fields, Set<String> known) {
    Map<String, JsonNode> unknown = new LinkedHashMap<>(fields.object().members());
    unknown.keySet().removeAll(known);
    return unknown;
  }

  private static CaseMachine machine(Fields machine, List<Step> steps, Series series) {
    Profile profile = profile(machine);
    List<Ram> soft = machine.list("softReserved", "a soft-reserved range", CaseFiles::ram);
    List<Ram> pmem = machine.list("pmem", "a pmem range", CaseFiles::ram);
    MemoryRanges memory =
        MemoryRanges.ofRam(machine.list("ram", "a RAM range", CaseFiles::ram))
            .with(Kind.HOLE, machine.list("reservedHoles", "a hole", CaseFiles::ram))
            .with(Kind.SOFT_RESERVED, soft)
            .with(Kind.PMEM, pmem)
            .with(Kind.DEVICE, deviceMemory(steps, soft, pmem));
    return new CaseMachine(
        profile,
        machine.numberOr("memoryBlockSize", 0),
        config(machine, profile.config()).withSeries(series),
        memory,
        machine.list("zones", "a zone", CaseFiles::zone),
        machine.texts("cmdline"),
        unknown(machine, MACHINE_KEYS));
  }

  private static Profile profile(Fields machine) {
    String arch = machine.text("arch");
    String mmu = machine.text("mmu");
    boolean powerpc = arch.equals(Profile.POWERPC);
    if (!powerpc && !arch.equals(Profile.ARM64)) {
      int levels = mmu.equals("5-level") ? 5 : 4;
      return new Profile(arch, "", machine.small("pageSize"), levels, 0, 0, base(machine), 0);
    }
    return new Profile(
        arch,
        powerpc ? mmu : "",
        machine.small("pageSize"),
        powerpc ? POWERPC_LEVELS : machine.small("levels"),
        machine.small("vaBits"),
        powerpc ? 0 : machine.object("config", "the configuration").small("ARM64_VA_BITS"),
        base(machine),
        machine.numberOr("vmemmapPageSize", 0));
  }

  private static long base(Fields machine) {
    return machine.hex("vmemmapBase");
  }

  /** The ranges that the steps map and that the machine does not list. */
  private static List<Ram> deviceMemory(List<Step> steps, List<Ram> soft, List<Ram> pmem) {
    List<Ram> listed = new ArrayList<>(soft);
    listed.addAll(pmem);
    Set<Ram> found = new LinkedHashSet<>();
    for (Step step : steps) {
      for (VmemmapCase.Operation operation : step.operations()) {
        @Nullable Ram range = mapped(operation.args());
        if (range != null && listed.stream().noneMatch(range::overlaps)) {
          found.add(range);
        }
      }
    }
    return List.copyOf(found);
  }

  private static @Nullable Ram mapped(VmemmapCase.Args args) {
    return switch (args) {
      case VmemmapCase.DaxBind bind -> range(bind.memremap(), 0);
      case VmemmapCase.Memremap remap -> range(remap.remap(), remap.node());
      case VmemmapCase.AddMemory add -> new Ram(add.start(), add.start() + add.size(), add.node());
      default -> null;
    };
  }

  private static Ram range(VmemmapCase.Remap remap, int node) {
    return new Ram(remap.start(), remap.start() + remap.size(), node);
  }

  private static VmemmapCase.CaseZone zone(Fields zone) {
    return new VmemmapCase.CaseZone(
        zone.small("node"),
        zone.text("name"),
        zone.numberOr("startPfn", 0),
        zone.number("spannedPages"),
        zone.number("presentPages"));
  }

  private static Ram ram(Fields range) {
    long start = range.hex("start");
    long end = range.hex("end");
    if (start < 0 || end <= start) {
      throw range.wrong("end", "an address above the start");
    }
    return new Ram(start, end, range.small("node"));
  }

  /** {@code like} has what a case does not say. */
  private static MmConfig config(Fields machine, MmConfig like) {
    Fields config = machine.object("config", "the configuration");
    return like.toBuilder()
        .sizeofStructPage(machine.small("sizeofStructPage"))
        .sectionSizeBits(machine.small("sectionSizeBits"))
        .nodesShift((int) config.numberOr("NODES_SHIFT", like.nodesShift()))
        .lastCpupidBits(config.boolOr("NUMA_BALANCING", true) ? like.lastCpupidBits() : 0)
        .maxPageOrder(maxPageOrder(config, like))
        .zoneDma(config.boolOr("ZONE_DMA", like.zoneDma()))
        .zoneDma32(config.boolOr("ZONE_DMA32", like.zoneDma32()))
        .pageExtension(config.boolOr("PAGE_EXTENSION", like.pageExtension()))
        .deferredStructPageInit(
            config.boolOr("DEFERRED_STRUCT_PAGE_INIT", like.deferredStructPageInit()))
        .hugetlbOptimizeVmemmap(
            config.boolOr("HUGETLB_PAGE_OPTIMIZE_VMEMMAP", like.hugetlbOptimizeVmemmap()))
        .hugetlbOptimizeVmemmapDefaultOn(
            config.boolOr(
                "HUGETLB_PAGE_OPTIMIZE_VMEMMAP_DEFAULT_ON",
                like.hugetlbOptimizeVmemmapDefaultOn()))
        .sparsememVmemmapPreinit(
            config.boolOr("SPARSEMEM_VMEMMAP_PREINIT", like.sparsememVmemmapPreinit()))
        .archWantOptimizeDaxVmemmap(
            config.boolOr("ARCH_WANT_OPTIMIZE_DAX_VMEMMAP", like.archWantOptimizeDaxVmemmap()))
        .gigantic(config.boolOr("ARCH_HAS_GIGANTIC_PAGE", like.gigantic()))
        .memcg(config.boolOr("MEMCG", like.memcg()))
        .debugVm(config.boolOr("DEBUG_VM", like.debugVm()))
        .build();
  }

  /** A kernel that does not let its builder choose has {@code false} there. */
  private static int maxPageOrder(Fields config, MmConfig like) {
    boolean chosen = config.object().members().get("ARCH_FORCE_MAX_ORDER") instanceof JsonNode.Num;
    return chosen ? config.small("ARCH_FORCE_MAX_ORDER") : like.maxPageOrder();
  }
}
