// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.cases.VmemmapCase.Altmap;
import org.vmemmap.lab.cases.VmemmapCase.Args;
import org.vmemmap.lab.cases.VmemmapCase.Boot;
import org.vmemmap.lab.cases.VmemmapCase.BootHugepages;
import org.vmemmap.lab.cases.VmemmapCase.DaxBind;
import org.vmemmap.lab.cases.VmemmapCase.DaxUnbind;
import org.vmemmap.lab.cases.VmemmapCase.Demote;
import org.vmemmap.lab.cases.VmemmapCase.MapDevice;
import org.vmemmap.lab.cases.VmemmapCase.MapHugepage;
import org.vmemmap.lab.cases.VmemmapCase.Memremap;
import org.vmemmap.lab.cases.VmemmapCase.Memunmap;
import org.vmemmap.lab.cases.VmemmapCase.NotYet;
import org.vmemmap.lab.cases.VmemmapCase.Operation;
import org.vmemmap.lab.cases.VmemmapCase.Remap;
import org.vmemmap.lab.cases.VmemmapCase.SetOptimize;
import org.vmemmap.lab.cases.VmemmapCase.SetPool;

/** Reads the operations of a step. */
final class Operations {
  private static final Map<String, Set<String>> KEYS =
      Map.ofEntries(
          Map.entry("boot", Set.of("optimizeVmemmap", "hugepages", "hugetlbCma", "kernelcore")),
          Map.entry("setPool", Set.of("size", "node", "count", "via", "memory")),
          Map.entry("setOptimize", Set.of("value", "via")),
          Map.entry("mapHugepage", Set.of("size", "count", "pfn", "touch")),
          Map.entry("unmapHugepage", Set.of("size", "count", "pfn", "touch")),
          Map.entry("mapDevice", Set.of("device", "pfn")),
          Map.entry(
              "daxBind", Set.of("device", "source", "map", "start", "size", "align", "memremap")),
          Map.entry("daxUnbind", Set.of("device", "start", "size")),
          Map.entry(
              "memremap",
              Set.of("device", "start", "size", "vmemmapShift", "altmap", "node", "memory")),
          Map.entry("memunmap", Set.of("device")),
          Map.entry("demote", Set.of("size", "to", "count", "via", "node")),
          Map.entry(
              "addMemory",
              Set.of(
                  "source",
                  "start",
                  "size",
                  "node",
                  "memmapOnMemory",
                  "online",
                  "memory",
                  "chunk",
                  "blocks")),
          Map.entry("onlineBlocks", Set.of("first", "count", "to")),
          Map.entry("offlineBlocks", Set.of("first", "count")),
          Map.entry("removeMemory", Set.of("source", "start", "size", "node", "chunk")));

  private Operations() {}

  /** Reads one operation. */
  static Operation read(Fields fields, ShapeCheck check) {
    String op = fields.text("op");
    Set<String> known = KEYS.get(op);
    if (known == null) {
      throw fields.wrong(
          "op", "one of " + String.join(", ", KEYS.keySet().stream().sorted().toList()));
    }
    Map<String, JsonNode> results = new LinkedHashMap<>();
    fields
        .object()
        .members()
        .forEach(
            (key, node) -> {
              Shape shape = Shape.RESULTS.known().get(key);
              if (shape != null) {
                check.check(key, node, shape);
                results.put(key, node);
              }
            });
    Set<String> all = new HashSet<>(known);
    all.addAll(Set.of("op", "note"));
    all.addAll(results.keySet());
    Fields named = new Fields(fields.file(), fields.object(), "operation " + op);
    return new Operation(op, args(op, named), results, CaseFiles.unknown(fields, all));
  }

  private static Args args(String op, Fields f) {
    return switch (op) {
      case "boot" ->
          new Boot(
              f.boolOr("optimizeVmemmap", false),
              f.list("hugepages", "a number of hugepages", Operations::hugepages),
              f.numberOr("hugetlbCma", 0),
              f.numberOr("kernelcore", 0));
      case "setPool" ->
          new SetPool(f.number("size"), node(f), f.number("count"), f.text("via"), exhausted(f));
      case "demote" ->
          new Demote(f.number("size"), f.number("to"), f.number("count"), f.text("via"));
      case "setOptimize" -> new SetOptimize(f.number("value"), f.text("via"));
      case "mapHugepage", "unmapHugepage" ->
          new MapHugepage(
              op.equals("mapHugepage"),
              f.numberOr("size", 0),
              f.numberOr("count", 1),
              f.number("pfn"));
      case "mapDevice" -> new MapDevice(f.text("device"), f.numberOr("pfn", 0));
      case "daxBind" ->
          new DaxBind(
              f.text("device"),
              f.text("source"),
              f.text("map"),
              f.hex("start"),
              f.number("size"),
              f.number("align"),
              remap(f.object("memremap", "memremap")));
      case "daxUnbind" ->
          new DaxUnbind(
              f.text("device"), f.has("start") ? f.hex("start") : 0, f.numberOr("size", 0));
      case "memremap" -> new Memremap(f.text("device"), remap(f), f.small("node"), exhausted(f));
      case "memunmap" -> new Memunmap(f.text("device"));
      case "addMemory" ->
          new VmemmapCase.AddMemory(
              f.text("source"),
              f.hex("start"),
              f.number("size"),
              f.has("node") ? f.small("node") : 0,
              f.boolOr("memmapOnMemory", false),
              f.text("online"),
              f.numberOr("chunk", 0),
              exhausted(f));
      case "onlineBlocks", "offlineBlocks" ->
          new VmemmapCase.Blocks(
              op.equals("onlineBlocks"),
              f.number("first"),
              f.number("count"),
              op.equals("onlineBlocks") ? f.text("to") : "");
      case "removeMemory" ->
          new VmemmapCase.RemoveMemory(
              f.text("source"), f.hex("start"), f.number("size"), f.numberOr("chunk", 0));
      default -> new NotYet();
    };
  }

  private static BootHugepages hugepages(Fields f) {
    return new BootHugepages(f.number("size"), node(f), f.number("count"));
  }

  private static @Nullable Integer node(Fields f) {
    return f.has("node") ? (Integer) f.small("node") : null;
  }

  private static boolean exhausted(Fields f) {
    if (f.has("memory") && !f.text("memory").equals("exhausted")) {
      throw f.wrong("memory", "\"exhausted\"");
    }
    return f.has("memory");
  }

  private static Remap remap(Fields f) {
    return new Remap(f.hex("start"), f.number("size"), f.small("vmemmapShift"), altmap(f));
  }

  private static @Nullable Altmap altmap(Fields f) {
    if (!f.has("altmap")) {
      return null;
    }
    Fields a = f.object("altmap", "an altmap");
    return new Altmap(a.number("basePfn"), a.number("reservePages"), a.number("freePages"));
  }
}
