// Not `form.submit`: a button or field named so would stand in its place.
HTMLFormElement.prototype.submit.call(document.getElementById("form"));
