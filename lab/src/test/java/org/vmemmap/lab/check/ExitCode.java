// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Instruction;
import java.lang.classfile.MethodModel;
import java.lang.classfile.Opcode;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.InvokeDynamicInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.constant.DirectMethodHandleDesc;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What the compiled code of the port says about its exits: whom a ported method calls, and on which
 * lines it returns a failure that it names itself.
 */
public final class ExitCode {
  private static final int LEAST = -4095;
  private static final String[] PORTED = {
    "org.vmemmap.pagealloc", "org.vmemmap.sparse", "org.vmemmap.hugetlb", "org.vmemmap.dax",
    "org.vmemmap.arch"
  };

  private final Map<String, Body> methods = new HashMap<>();
  private final Map<String, Body> tagged = new HashMap<>();

  /**
   * A method, or a ported function: a method with a tag and all helpers that are a part of it.
   *
   * @param symbol file and kernel function
   * @param result type of what it returns
   * @param calls names of the methods that it calls
   * @param failures lines on which it returns a null, a 0 for an address, an error code or an error
   *     pointer, or panics
   */
  record Body(
      String type, String name, String symbol, String result, List<String> calls,
      Set<Integer> failures) {
    String method() {
      return type.substring(Math.max(type.lastIndexOf('/'), type.lastIndexOf('$')) + 1) + "." + name;
    }

    String file() {
      return symbol.isEmpty() ? "" : symbol.substring(0, symbol.indexOf(' '));
    }
  }

  /** Reads the code of the port. */
  ExitCode() {
    JavaClasses port =
        new ClassFileImporter()
            .withImportOption(location -> !location.contains("/test"))
            .importPackages(PORTED);
    port.forEach(type -> read("/" + type.getName().replace('.', '/') + ".class"));
  }

  private void read(String name) {
    try (InputStream in = ExitCode.class.getResourceAsStream(name)) {
      read(ClassFile.of().parse(Objects.requireNonNull(in, name).readAllBytes()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void read(ClassModel model) {
    for (MethodModel method : model.methods()) {
      String type = model.thisClass().asInternalName();
      Body body =
          new Body(
              type,
              method.methodName().stringValue(),
              ProbedClasses.symbol(method),
              method.methodTypeSymbol().returnType().displayName(),
              new ArrayList<>(),
              new TreeSet<>());
      Reader reader = new Reader(body);
      method.code().ifPresent(code -> code.forEach(reader::read));
      String key = type + "." + body.name() + method.methodType().stringValue();
      methods.put(key, body);
      if (!body.symbol().isEmpty()) {
        tagged.put(key, body);
      }
    }
  }

  /** The ported functions; helpers named in {@code separate} are callees of theirs, not parts. */
  List<Body> functions(Set<String> separate) {
    Set<Body> parts = new LinkedHashSet<>();
    List<Body> all = tagged.values().stream().map(top -> whole(top, separate, parts)).toList();
    Set<String> names = new TreeSet<>();
    parts.forEach(part -> names.add(part.method()));
    return all.stream().filter(body -> !names.contains(body.method())).toList();
  }

  private Body whole(Body top, Set<String> separate, Set<Body> taggedParts) {
    Body whole =
        new Body(
            top.type(), top.name(), top.symbol(), top.result(), new ArrayList<>(), new TreeSet<>());
    Deque<Body> open = new ArrayDeque<>(List.of(top));
    Set<Body> parts = new LinkedHashSet<>(open);
    while (!open.isEmpty()) {
      Body part = open.remove();
      whole.failures().addAll(part.failures());
      for (String call : part.calls()) {
        String name = call.substring(call.lastIndexOf('.') + 1, call.indexOf('('));
        Body callee = methods.get(call);
        boolean own = callee != null && callee.type().equals(top.type()) && isPart(callee, top);
        boolean named = separate.contains(name) && !name.equals(top.name());
        if (callee == null || !own || named) {
          whole.calls().add(name);
        } else if (parts.add(callee)) {
          open.add(callee);
          if (!callee.symbol().isEmpty() && !callee.name().equals(top.name())) {
            taggedParts.add(callee);
          }
        }
      }
    }
    return whole;
  }

  private static boolean isPart(Body callee, Body top) {
    return callee.symbol().isEmpty() || callee.symbol().equals(top.symbol());
  }

  /** Goes through one method. */
  private static final class Reader {
    private final Body body;
    private int line;
    private @Nullable CodeElement before;

    Reader(Body body) {
      this.body = body;
    }

    void read(CodeElement element) {
      switch (element) {
        case LineNumber number -> line = number.line();
        case InvokeInstruction call -> called(call);
        case InvokeDynamicInstruction lambda ->
            lambda.bootstrapArgs().stream()
                .filter(DirectMethodHandleDesc.class::isInstance)
                .map(DirectMethodHandleDesc.class::cast)
                .forEach(code -> body.calls().add(key(code)));
        case ReturnInstruction leaves when fails(leaves) -> body.failures().add(line);
        default -> { }
      }
      before = element instanceof Instruction ? element : before;
    }

    private void called(InvokeInstruction call) {
      String type = call.owner().asInternalName();
      body.calls().add(type + "." + call.name().stringValue() + call.type().stringValue());
      if (type.endsWith("/KernelPanic")) {
        body.failures().add(line);
      }
    }

    private static String key(DirectMethodHandleDesc code) {
      String type = code.owner().descriptorString();
      return type.substring(1, type.length() - 1) + "." + code.methodName() + code.lookupDescriptor();
    }

    private boolean fails(ReturnInstruction leaves) {
      if (before instanceof InvokeInstruction call) {
        return leaves.opcode() == Opcode.ARETURN && call.name().equalsString("err");
      }
      if (!(before instanceof ConstantInstruction constant)) {
        return false;
      }
      return switch (leaves.opcode()) {
        case ARETURN -> constant.opcode() == Opcode.ACONST_NULL;
        case LRETURN -> constant.constantValue().equals(0L);
        case IRETURN ->
            constant.constantValue() instanceof Integer value && value < -1 && value >= LEAST;
        default -> false;
      };
    }
  }
}
