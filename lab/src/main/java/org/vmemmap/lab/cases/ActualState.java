// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.lab.observe.MemmapWalk;
import org.vmemmap.lab.observe.PageTableWalker;
import org.vmemmap.lab.observe.SectionRun;
import org.vmemmap.lab.observe.ZoneTails;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;

/**
 * The model's side of a step: a tree in the shape of {@code expect}, grown from the model alone.
 *
 * <p>The expectation is asked only for what to look at: which keys, which ranges, which indexes.
 * Tables and leaves come from a walk of the page tables, words from the struct pages, zones and
 * sections from their structures, hugepages from the pool's lists.
 */
final class ActualState {
  /** The level of a mapping of the hash MMU. */
  static final String HPTE = "hpte";

  private static final int SHIFT_4K = 12;
  private static final Set<String> HUGEPAGES_KEYS =
      Set.of("size", "total", "free", "surplus", "reserved", "perNode");

  private final ModelView view;
  private final Mm mm;
  private final long wordMask0;
  private @Nullable Long managedBase;
  private Map<String, Long> freeBefore = Map.of();
  private long badPagesBefore;

  /** Starts before the first step. */
  ActualState(ModelView view, long wordMask0) {
    this.view = view;
    this.mm = view.mm();
    this.wordMask0 = wordMask0;
  }

  /**
   * Reads what {@code expect} asks for. Call it once for every step, in order: some values are
   * changes since an earlier step.
   */
  Map<String, Object> read(JsonNode.Obj expect) {
    if (managedBase == null && expect.members().containsKey("vmstat")) {
      managedBase = managedPages();
    }
    Snapshot now = new Snapshot();
    Map<String, Object> actual = new LinkedHashMap<>();
    expect
        .members()
        .forEach(
            (key, node) -> {
              Object value = now.read(key, node);
              if (value != null) {
                actual.put(key, value);
              }
            });
    freeBefore = freePages();
    badPagesBefore = view.badPageReports();
    return actual;
  }

  private long managedPages() {
    return zones().stream().mapToLong(zone -> zone.managedPages).sum();
  }

  private Map<String, Long> freePages() {
    Map<String, Long> free = new TreeMap<>();
    for (Zone zone : zones()) {
      free.put(zone.toString(), zone.populated() ? view.freePages(zone) : 0L);
    }
    return free;
  }

  private List<Zone> zones() {
    List<Zone> zones = new ArrayList<>();
    for (PgData node : mm.nodes().online()) {
      zones.addAll(List.of(node.zones()));
    }
    return zones;
  }

  /** One reading: walks and tables that several keys share. */
  private final class Snapshot {
    private final ZoneTails tails = new ZoneTails(mm);
    private final MemmapReader reader = new MemmapReader(mm);
    private final PageTableFormat format = PageTableWalker.format(mm);
    private final WordForm form =
        new WordForm(
            mm.model().vmemmapBase(), MemmapWalk.areaEnd(mm), mm.config().sizeofStructPage());

    private @Nullable Object read(String key, JsonNode node) {
      return switch (key) {
        case "vmstat" ->
            Map.of(
                "nr_memmap_pages", mm.vmstat().nrMemmapPages(),
                "nr_memmap_boot_pages", mm.vmstat().nrMemmapBootPages());
        case "managedPagesChange" -> managedBase == null ? null : managedPages() - managedBase;
        case "hugepages" -> hugepages(((JsonNode.Arr) node).items());
        case "pool" -> pool();
        case "zones" -> spans();
        case "zoneFreeChange" -> freeChange(((JsonNode.Arr) node).items());
        case "badPageReports" -> view.badPageReports() > badPagesBefore;
        case "vmemmap" -> vmemmap(((JsonNode.Obj) node).members().containsKey("leafRanges"));
        case "zoneTails" -> zoneTails((JsonNode.Arr) node);
        case "sections" -> sections();
        case "ranges" -> ranges((JsonNode.Arr) node);
        case "selfHosted" -> view.selfHosted();
        case "altmap" -> altmap(((JsonNode.Obj) node).members().keySet());
        case "hugepageSizes" -> view.pools().stream().map(ModelView.Pool::size).sorted().toList();
        case "optimizeSysctl" -> sysctl();
        default -> null;
      };
    }

    private String sysctl() {
      String value = view.optimizeSysctl();
      return value == null ? "absent" : value;
    }

    /** On x86-64 of all sizes by node; other captures have what they ask for. */
    private List<Object> hugepages(List<JsonNode> asked) {
      List<Object> sizes = new ArrayList<>();
      for (ModelView.Pool pool : view.pools()) {
        @Nullable Set<String> keys = x86() ? HUGEPAGES_KEYS : keysOfSize(asked, pool.size());
        if (keys == null) {
          continue;
        }
        Map<String, Object> perNode = new LinkedHashMap<>();
        pool.perNode().forEach((node, count) -> perNode.put(Integer.toString(node), count));
        Map<String, Object> size = new LinkedHashMap<>();
        size.put("size", pool.size());
        size.put("total", pool.total());
        size.put("free", pool.free());
        size.put("surplus", pool.surplus());
        size.put("reserved", pool.reserved());
        size.put("perNode", perNode);
        size.keySet().retainAll(keys);
        sizes.add(size);
      }
      return sizes;
    }

    private static @Nullable Set<String> keysOfSize(List<JsonNode> asked, long size) {
      for (JsonNode one : asked) {
        Map<String, JsonNode> members = ((JsonNode.Obj) one).members();
        if (String.valueOf(members.get("size")).equals(Long.toString(size))) {
          return members.keySet();
        }
      }
      return null;
    }

    /** Hugepages that look alike, as the struct pages of their heads say. */
    private List<Object> pool() {
      Map<List<Object>, List<Long>> groups = new LinkedHashMap<>();
      for (ModelView.Hugepage page : view.hugepages()) {
        long[] words = reader.words(page.pfn());
        List<Object> like =
            List.of(
                page.order(),
                mm.inline().nid(words[0]),
                mm.inline().zonenum(words[0]).label(),
                WordForm.hex(words[5]),
                (int) (words[6] >>> 32));
        groups.computeIfAbsent(like, k -> new ArrayList<>()).add(page.pfn());
      }
      List<Object> pool = new ArrayList<>();
      groups.forEach(
          (like, pfns) ->
              pool.add(
                  Map.of(
                      "order", like.get(0),
                      "node", like.get(1),
                      "zone", like.get(2),
                      "private", like.get(3),
                      "refcount", like.get(4),
                      "pfns", pfns.stream().mapToLong(Long::longValue).toArray())));
      return pool;
    }

    private List<Object> spans() {
      List<Object> spans = new ArrayList<>();
      for (Zone zone : zones()) {
        if (!zone.isEmpty()) {
          spans.add(
              Map.of(
                  "node", zone.nid(),
                  "name", zone.name(),
                  "startPfn", zone.zoneStartPfn,
                  "spannedPages", zone.spannedPages,
                  "presentPages", zone.presentPages));
        }
      }
      return spans;
    }

    /** The zones that the capture chose because they were quiet. */
    private List<Object> freeChange(List<JsonNode> asked) {
      List<Object> changes = new ArrayList<>();
      Map<String, Long> free = freePages();
      for (JsonNode one : asked) {
        Map<String, JsonNode> members = ((JsonNode.Obj) one).members();
        String zone = members.get("node") + "/" + members.get("zone");
        Long now = free.get(zone);
        Long before = freeBefore.get(zone);
        if (now != null && before != null) {
          int slash = zone.indexOf('/');
          changes.add(
              Map.of(
                  "node", zone.substring(0, slash),
                  "zone", zone.substring(slash + 1),
                  "pages", now - before));
        }
      }
      return changes;
    }

    /** Some captures do not tell what is mapped where, so that is there only when it is asked for. */
    private Map<String, Object> vmemmap(boolean where) {
      MemmapWalk walk = new MemmapWalk(mm);
      Map<String, Object> result = new LinkedHashMap<>();
      if (tableLevels() > 0) {
        result.put("tables", tables(walk));
      }
      List<Object> leaves = new ArrayList<>();
      walk.leaves().forEach((kind, count) -> leaves.add(leaf(kind, count)));
      result.put("leaves", leaves);
      result.put("mappedPages", walk.mappedPages());
      result.put("distinctPages", walk.distinctPages());
      if (x86()) {
        result.put("readOnlyPages", walk.readOnlyPages());
        result.put("shared", shared(walk));
      }
      if (where) {
        result.put("leafRanges", leafRanges(walk));
      }
      return result;
    }

    private boolean x86() {
      return view.spec().arch().equals(Profile.X86_64);
    }

    private boolean hash() {
      return view.spec().profile().hash();
    }

    /** How many levels of tables a capture counts: those that only the memmap uses. */
    private int tableLevels() {
      if (hash()) {
        return 0;
      }
      if (view.spec().arch().equals(Profile.ARM64)) {
        return mm.model().pageShift() == SHIFT_4K ? 2 : 1;
      }
      return Math.min(3, format.levels() - 1);
    }

    private Map<String, Object> tables(MemmapWalk walk) {
      Map<String, Object> tables = new LinkedHashMap<>();
      for (int level = 0; level < tableLevels(); level++) {
        tables.put(format.levelName(level), walk.tables(level));
      }
      return tables;
    }

    private Map<String, Object> leaf(MemmapWalk.LeafKind kind, long count) {
      String name = format.levelName(kind.level());
      return hash()
          ? Map.of("level", name, "size", 1L << format.shift(kind.level()), "count", count)
          : Map.of("level", name, "flags", WordForm.hex(kind.flags()), "count", count);
    }

    private List<Object> leafRanges(MemmapWalk walk) {
      List<Object> ranges = new ArrayList<>();
      for (MemmapWalk.LeafRange range : walk.leafRanges()) {
        ranges.add(
            Map.of(
                "level", format.levelName(range.level()),
                "start", WordForm.hex(range.start()),
                "end", WordForm.hex(range.end())));
      }
      return ranges;
    }

    /** Frames mapped more than once, in groups that are mapped alike. */
    private List<Object> shared(MemmapWalk walk) {
      Map<List<Object>, Long> groups = new LinkedHashMap<>();
      walk.baseFrames()
          .forEach(
              (frame, maps, writableMaps) -> {
                if (maps > 1) {
                  ZoneTails.Slot tail = tails.ofFrame(frame);
                  String name = tail == null ? "" : tail.name();
                  groups.merge(List.of(maps, writableMaps, refcount(frame), name), 1L, Long::sum);
                }
              });
      List<Object> shared = new ArrayList<>();
      groups.forEach(
          (like, frames) -> {
            Map<String, Object> group = new LinkedHashMap<>();
            group.put("maps", like.get(0));
            group.put("writableMaps", like.get(1));
            group.put("refcount", like.get(2));
            group.put("frames", frames);
            if (!like.get(3).equals("")) {
              group.put("tail", like.get(3));
            }
            shared.add(group);
          });
      return shared;
    }

    private int refcount(long frame) {
      return reader.mapped(frame) ? (int) (reader.word(frame, 6) >>> 32) : -1;
    }

    private List<Object> zoneTails(JsonNode.Arr asked) {
      List<Object> result = new ArrayList<>();
      for (ZoneTails.Slot slot : tails.slots()) {
        Map<String, Object> one = new LinkedHashMap<>();
        one.put("node", slot.zone().nid());
        one.put("zone", slot.zone().name());
        one.put("order", slot.order());
        one.put("refcount", refcount(slot.frame()));
        boolean uniform = uniform(slot.frame());
        one.put("uniform", uniform);
        if (uniform) {
          one.put("words", tailWords(slot.frame(), 0));
        } else {
          one.put("slots", tailSlots(slot, asked));
        }
        result.add(one);
      }
      return result;
    }

    private int slotsPerFrame() {
      return (int) mm.model().pageSize() / mm.config().sizeofStructPage();
    }

    private boolean uniform(long frame) {
      long[] first = reader.wordsInFrame(frame, 0);
      for (int slot = 1; slot < slotsPerFrame(); slot++) {
        if (!java.util.Arrays.equals(first, reader.wordsInFrame(frame, slot))) {
          return false;
        }
      }
      return true;
    }

    private List<Object> tailWords(long frame, int slot) {
      List<Object> words = new ArrayList<>();
      long[] raw = reader.wordsInFrame(frame, slot);
      for (int i = 0; i < raw.length; i++) {
        words.add(i == 0 ? WordForm.hex(raw[0] & wordMask0) : form.format(raw[i], 0, 0));
      }
      return words;
    }

    /** The positions in a tail that is not uniform, as far as the capture has them. */
    private List<Object> tailSlots(ZoneTails.Slot slot, JsonNode.Arr asked) {
      List<Object> slots = new ArrayList<>();
      for (JsonNode node : asked.items()) {
        Map<String, JsonNode> members = ((JsonNode.Obj) node).members();
        String name = members.get("node") + "/" + members.get("zone") + "/" + members.get("order");
        if (name.equals(slot.name()) && members.get("slots") instanceof JsonNode.Arr list) {
          for (JsonNode item : list.items()) {
            String at = String.valueOf(((JsonNode.Obj) item).members().get("at"));
            List<List<Object>> words = new ArrayList<>();
            for (long index : Indexes.parse(at)) {
              words.add(tailWords(slot.frame(), (int) index % slotsPerFrame()));
            }
            slots.add(Map.of("words", Uniform.columns(words)));
          }
        }
      }
      return slots;
    }

    private List<Object> sections() {
      List<Object> sections = new ArrayList<>();
      for (SectionRun run : SectionRun.all(mm)) {
        String wrongMap = run.mapAtBase() ? "" : " with a memmap pointer that is not the base";
        sections.add(
            Map.of(
                "first", run.first(),
                "n", run.n(),
                "flags", WordForm.hex(run.flags()) + wrongMap,
                "subsections", WordForm.hex(run.subsections())));
      }
      return sections;
    }

    private List<Object> ranges(JsonNode.Arr asked) {
      ActualRange range = new ActualRange(view, tails, reader, form, wordMask0);
      List<Object> ranges = new ArrayList<>();
      for (JsonNode node : asked.items()) {
        ranges.add(range.read((JsonNode.Obj) node));
      }
      return ranges;
    }

    /** Of a removed device some captures have a part. */
    private @Nullable Object altmap(Set<String> asked) {
      VmemAltmap altmap = view.altmap();
      if (altmap == null) {
        return null;
      }
      Map<String, Object> state = new LinkedHashMap<>();
      state.put("basePfn", altmap.basePfn);
      state.put("endPfn", altmap.endPfn);
      state.put("reservePages", altmap.reserve);
      state.put("freePages", altmap.free);
      state.put("alignPages", altmap.align);
      state.put("allocPages", altmap.alloc);
      state.keySet().retainAll(asked);
      return state;
    }
  }
}
